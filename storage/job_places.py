"""Where a job reads and writes, once what it names has been followed: folders and files of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.job import Job, JobInput, JobInputType, JobKind, JobOutput, JobStatus
from scoring.ports import JobStore
from scoring.specs.document import described
from scoring.specs.job_input import OUTPUT_NAME
from storage.references import References


def output_folders(jobs: JobStore, jobs_folder: Path) -> Callable[[str, str], Path]:
    """The folder of a job's named output.

    It raises NotFound for a job or an output that is not there, Conflict for a job that has not Completed: what it
    wrote may be half of it.
    """

    def folder(job_name: str, output: str) -> Path:
        job = jobs.get(job_name)
        names = [OUTPUT_NAME] if job.kind is JobKind.SCORING else sorted(job.outputs)
        if job.status is not JobStatus.COMPLETED:
            raise Conflict(f"job {job_name} is {job.status.value}; its output can be used when it is Completed")
        if output not in names:
            raise NotFound(f"job {job_name} has no output named {output}; there is: {', '.join(names) or 'none'}")
        if job.kind is not JobKind.SCORING:
            return Path(job.outputs[output].path)
        return Path(job.output.path) if job.output.path else jobs_folder / job.name / "outputs" / OUTPUT_NAME

    return folder


Fetch = Callable[[str, JobInputType], Path]
"""Makes a local copy of what an address of the web holds."""


def located(job: Job, references: References, fetch: Fetch | None = None) -> Job:
    """The job with the references of its input and output followed as of now; `source` keeps what was written.

    fetch  copies inputs of the web; without it they are refused

    Raises InvalidInput and NotFound for what cannot be followed, naming `input.path` or `output.path`.
    """
    return replace(job, input=located_input(job.input, references, fetch), output=_output(job.output, references))


def located_input(given: JobInput, references: References, fetch: Fetch | None = None) -> JobInput:
    """As `located`, for an input alone."""
    if given.path.startswith("lake://"):
        return given
    found = references.input(given.path, place="input.path")
    if "://" in found.path:
        if fetch is None:
            raise InvalidInput(
                f"found {described(found.path)}; a schedule does not read the web: download it, and name what you have",
                place="input.path",
            )
        wanted = JobInputType(found.type) if found.type is not None else given.type
        found = replace(found, path=str(fetch(found.path, wanted)))
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
