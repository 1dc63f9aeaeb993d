"""From an endpoint and what the caller wishes to a queued job. Pure: names and times are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from scoring.deployment import Deployment
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, InvalidInput
from scoring.job import Job, JobInput, JobInputType, JobOutput
from scoring.mini_batch_size import SizeUnit
from scoring.plan import check_size


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What an invocation may change of its deployment, for this job alone, and no more; None leaves it as it is."""

    instance_count: int | None = None
    mini_batch_size: int | None = None
    mini_batch_unit: SizeUnit = SizeUnit.FILES
    max_retries: int | None = None
    timeout: int | None = None
    error_threshold: int | None = None
    output_file_name: str | None = None

    def applied(self, deployment: Deployment) -> Deployment:
        """The deployment with these values. Raises InvalidInput for one out of its range."""
        for name, least in (
            ("instance_count", 1),
            ("mini_batch_size", 1),
            ("max_retries", 1),
            ("timeout", 1),
            ("error_threshold", -1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidInput(f"{value} is too small; allowed are {least} and more", place=name)
        file = self.output_file_name
        if file is not None and (not file.strip() or "/" in file or "\0" in file or file in {".", ".."}):
            raise InvalidInput(
                f"{file!r} is no file name; folders belong into the output's path", place="output_file_name"
            )
        retry = deployment.retry_settings
        return replace(
            deployment,
            instance_count=_or(self.instance_count, deployment.instance_count),
            mini_batch_size=_or(self.mini_batch_size, deployment.mini_batch_size),
            mini_batch_unit=deployment.mini_batch_unit if self.mini_batch_size is None else self.mini_batch_unit,
            error_threshold=_or(self.error_threshold, deployment.error_threshold),
            output_file_name=deployment.output_file_name if file is None else file,
            retry_settings=replace(
                retry,
                max_retries=_or(self.max_retries, retry.max_retries),
                timeout=_or(self.timeout, retry.timeout),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One call of an endpoint. `schedule_name` and `fire_time` are set by the scheduler alone."""

    input: JobInput
    output: JobOutput = JobOutput()
    overrides: Overrides = Overrides()
    display_name: str | None = None
    experiment_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    schedule_name: str | None = None
    fire_time: datetime | None = None


def chosen_deployment(endpoint: Endpoint, wished: str | None) -> str:
    """The deployment's name: the caller's wish, else the endpoint's default. Raises Conflict when there is neither."""
    chosen = wished or endpoint.default_deployment_name
    if not chosen:
        raise Conflict(
            f"endpoint {endpoint.name} has no default deployment; set a default deployment or provide a deployment name"
        )
    return chosen


def new_job(name: str, deployment: Deployment, invocation: Invocation, *, now: datetime) -> Job:
    """The queued job, which keeps the deployment as it is now. Raises InvalidInput for what cannot be run."""
    _check(invocation.input)
    applied = invocation.overrides.applied(deployment)
    check_size(applied, invocation.input.type)
    return Job(
        name=name,
        endpoint_name=deployment.endpoint_name,
        deployment=applied,
        input=invocation.input,
        output=_expanded(invocation.output, name),
        display_name=invocation.display_name or f"{deployment.endpoint_name}-{deployment.name}",
        experiment_name=invocation.experiment_name or deployment.endpoint_name,
        description=invocation.description,
        tags=dict(invocation.tags),
        properties=dict(invocation.properties),
        status_reason="waiting for a runner",
        trigger="user" if invocation.schedule_name is None else "schedule",
        schedule_name=invocation.schedule_name,
        fire_time=invocation.fire_time,
        created_at=now,
    )


def _expanded(output: JobOutput, name: str) -> JobOutput:
    """With the job's name where its path asks for it: one invocation file gives each job a folder of its own."""
    return output if output.path is None else replace(output, path=output.path.replace("${{name}}", name))


def _check(job_input: JobInput) -> None:
    if job_input.type is JobInputType.TABLE:
        return
    for name, value in (("join", job_input.join), ("pivot", job_input.pivot), ("incremental", job_input.incremental)):
        if value:
            raise InvalidInput(
                f"only inputs of type table have it, and this one is {job_input.type}", place=f"input.{name}"
            )


def _or(wished: int | None, otherwise: int) -> int:
    return otherwise if wished is None else wished
