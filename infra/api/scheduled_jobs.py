"""What a schedule runs where it invokes no endpoint: a pipeline or a command."""

from __future__ import annotations

from dataclasses import replace

from infra.api.job_creation import checked, made
from infra.api.parts import ServiceParts
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.errors import InvalidInput, NotFound
from scoring.pipeline.scheduled import of_one_job
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec
from scoring.specs.references import bare_name
from scoring.specs.scheduled_job import ChangedJobSpec


def scheduled_work(
    parts: ServiceParts, spec: ChangedJobSpec | PipelineJobSpec | CommandJobSpec
) -> CommandJob | PipelineJob:
    """Its data as it was named: each job has the data of its time.

    Raises InvalidInput, which names a field of the schedule, for what could not be run now.
    """
    try:
        if isinstance(spec, ChangedJobSpec):
            of_job = _earlier(parts, spec.job) if isinstance(spec.job, str) else made(parts, spec.job)
            work = spec.changed(of_job)
        else:
            work = made(parts, spec)
        checked(parts, of_one_job(work, "name"))
    except InvalidInput as error:
        place = "create_job" if error.place is None else f"create_job.{error.place}"
        raise InvalidInput(str(error).removeprefix(f"{error.place}: "), place=place) from None
    return replace(work, name=None)


def _earlier(parts: ServiceParts, reference: str) -> CommandJob | PipelineJob:
    name = bare_name(reference)
    try:
        job = parts.jobs.get(name)
    except NotFound as missing:
        raise InvalidInput(str(missing), place="job") from None
    work = job.pipeline or job.command
    if work is None:
        message = (
            f"job {name} is of type {job.kind.value}; a schedule runs pipelines and commands, or invokes an endpoint"
        )
        raise InvalidInput(message, place="job")
    return work
