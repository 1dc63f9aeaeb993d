"""What an invocation names as its input and output, as folders and files of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from infra.api.parts import ServiceParts
from scoring.errors import InvalidInput
from scoring.job import Job, JobInput, JobInputType, JobOutput
from scoring.specs.references import LakeTable, WrittenPath, parse_location


def located(parts: ServiceParts, job: Job) -> Job:
    """The job with its references followed, as of now. Raises InvalidInput and NotFound before anything is stored."""
    return replace(job, input=_input(job.input), output=_output(job.output))


def _input(given: JobInput) -> JobInput:
    location = parse_location(given.path)
    if isinstance(location, LakeTable):
        return given
    if not isinstance(location, WrittenPath):
        raise InvalidInput(f"{given.path} cannot be read from here", place="input.path")
    if given.is_type_given:
        return given
    kind = JobInputType.URI_FILE if Path(given.path).is_file() else JobInputType.URI_FOLDER
    return replace(given, type=kind, is_type_given=True)


def _output(given: JobOutput) -> JobOutput:
    if given.path is not None and not isinstance(parse_location(given.path), WrittenPath):
        raise InvalidInput(f"{given.path} cannot be written from here", place="output.path")
    return given
