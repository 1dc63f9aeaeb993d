"""Where a job reads and writes, once what it names has been followed: folders and files of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scoring.errors import InvalidInput
from scoring.job import Job, JobInput, JobInputType, JobOutput
from scoring.specs.document import described
from storage.references import References


def located(job: Job, references: References) -> Job:
    """The job with the references of its input and output followed as of now; `source` keeps what was written.

    Raises InvalidInput and NotFound for what cannot be followed, naming `input.path` or `output.path`.
    """
    return replace(job, input=_input(job.input, references), output=_output(job.output, references))


def _input(given: JobInput, references: References) -> JobInput:
    if given.path.startswith("lake://"):
        return given
    found = references.input(given.path, place="input.path")
    if "://" in found.path:
        raise InvalidInput(
            f"found {described(found.path)}; addresses of the web are not read: download it, and name what you have",
            place="input.path",
        )
    if found.asset is not None:
        kind = JobInputType(found.type or JobInputType.URI_FOLDER)
    elif given.is_type_given:
        kind = given.type
    else:
        kind = JobInputType.URI_FILE if Path(found.path).is_file() else JobInputType.URI_FOLDER
    source = given.path if given.path != found.path else None
    if found.asset is not None:
        source = f"azureml:{found.asset.name}:{found.asset.version}"
    return replace(given, type=kind, is_type_given=True, path=found.path, source=source)


def _output(given: JobOutput, references: References) -> JobOutput:
    if given.path is None:
        return given
    return replace(given, path=str(references.output(given.path, place="output.path")))
