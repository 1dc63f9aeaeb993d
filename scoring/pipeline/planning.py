"""From what is to be run to jobs: a command or a pipeline as a queued job, and the child of each of its steps. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from scoring.components.binding import DataReference, OutputTarget, Value
from scoring.components.component import CommandComponent, Component, ParallelComponent, PipelineComponent, Step
from scoring.components.jobs import CommandJob, PipelineDeployment, PipelineJob
from scoring.components.templates import expanded_path
from scoring.components.values import Produced, step_values
from scoring.datastore import DEFAULT_DATASTORE
from scoring.deployment import CodeConfiguration, Deployment, OutputAction
from scoring.job import NO_INPUT, Job, JobKind, JobStatus
from scoring.mini_batch_size import SizeUnit
from scoring.model import NO_MODEL
from scoring.pipeline.parallel_job import ParallelJob

DEFAULT_COMPUTE = "local"
"""Where steps run that name no compute: this machine."""

SERVERLESS = "serverless"
DEFAULT_EXPERIMENT = "Default"

Work = TypeVar("Work", CommandJob, ParallelJob)

_OUTPUT_PATH = "azureml://datastores/{datastore}/paths/azureml/${{{{name}}}}/${{{{output_name}}}}"


def new_command_job(name: str, command: CommandJob, *, now: datetime) -> Job:
    """The queued job of a command that is no step."""
    component = command.component
    job = Job(
        name=name,
        endpoint_name="",
        deployment=_deployment(
            component,
            name=component.name,
            compute=command.compute or DEFAULT_COMPUTE,
            variables=command.environment_variables,
        ),
        input=NO_INPUT,
        kind=JobKind.COMMAND,
        command=command,
        status_reason="waiting for a runner",
        created_at=now,
    )
    return _described(job, command)


def new_pipeline_job(
    name: str, pipeline: PipelineJob, *, now: datetime, deployment: PipelineDeployment | None = None
) -> Job:
    """The queued job of a pipeline; its steps become jobs when it starts.

    deployment  what was invoked, where it was
    """
    job = Job(
        name=name,
        endpoint_name="" if deployment is None else deployment.endpoint_name,
        deployment=Deployment(
            name="" if deployment is None else deployment.name,
            endpoint_name="" if deployment is None else deployment.endpoint_name,
            model=NO_MODEL,
            compute=pipeline.settings.default_compute or DEFAULT_COMPUTE,
        ),
        input=NO_INPUT,
        kind=JobKind.PIPELINE,
        pipeline=pipeline,
        status_reason="waiting for its start",
        created_at=now,
    )
    described = _described(job, pipeline)
    if deployment is None:
        return described
    return replace(described, experiment_name=pipeline.experiment_name or deployment.endpoint_name)


def new_work_job(name: str, work: CommandJob | PipelineJob, *, now: datetime) -> Job:
    """The queued job of either, where nobody's deployment was invoked."""
    if isinstance(work, CommandJob):
        return new_command_job(name, work, now=now)
    return new_pipeline_job(name, work, now=now)


def _described(job: Job, said: CommandJob | PipelineJob) -> Job:
    return replace(
        job,
        display_name=said.display_name or said.component.display_name or job.name,
        experiment_name=said.experiment_name or DEFAULT_EXPERIMENT,
        description=said.description,
        tags=dict(said.tags),
        properties=dict(said.properties),
    )


def child_of(parent: Job, step: Step, *, now: datetime) -> Job:
    """The job of a step that waits for its inputs."""
    assert parent.pipeline is not None
    settings, component = parent.pipeline.settings, step.component
    return Job(
        name=f"{parent.name}.{step.name}",
        endpoint_name="",
        deployment=_deployment(
            component,
            name=step.name,
            compute=step.compute or settings.default_compute or DEFAULT_COMPUTE,
            variables=step.environment_variables,
        ),
        input=NO_INPUT,
        kind=JobKind(component.kind),
        parent=parent.name,
        step=step.name,
        may_reuse=component.is_deterministic and not settings.force_rerun,
        display_name=step.display_name or step.name,
        experiment_name=parent.experiment_name,
        description=step.description or component.description,
        tags=dict(step.tags),
        properties=dict(step.properties),
        status=JobStatus.NOT_STARTED,
        status_reason="waiting for other steps",
        created_at=now,
    )


def released(parent: Job, child: Job, step: Step, values: Mapping[str, Value], produced: Produced) -> Job:
    """The child with all that its step needs, queued. `values` are the pipeline's own inputs.

    Raises InvalidInput where an input gets a value that it does not take.
    """
    assert parent.pipeline is not None
    inputs = step_values(step, values, produced)
    outputs = {name: _target(parent, parent.pipeline, step, name) for name in step.component.outputs}
    queued = child.moved(JobStatus.QUEUED, reason="waiting for a runner")
    if isinstance(step.component, PipelineComponent):
        settings = replace(parent.pipeline.settings, default_compute=step.compute or _default_compute(parent))
        inner = PipelineJob(component=step.component, inputs=inputs, outputs=outputs, settings=settings)
        return replace(queued, pipeline=inner, status_reason="waiting for its start")
    if isinstance(step.component, CommandComponent):
        return replace(queued, command=_of_step(CommandJob, step, inputs, outputs))
    return replace(queued, parallel=_of_step(ParallelJob, step, inputs, outputs))


def _of_step(
    kind: Callable[..., Work], step: Step, inputs: Mapping[str, Value], outputs: Mapping[str, OutputTarget]
) -> Work:
    return kind(
        component=step.component,
        inputs=inputs,
        outputs=outputs,
        compute=step.compute,
        environment_variables=step.environment_variables,
        timeout=step.timeout,
    )


def produced_by(job: Job) -> dict[tuple[str, str], DataReference]:
    """What a completed step has written, for those who read it."""
    assert job.step is not None
    return {(job.step, name): DataReference(path=output.path, type=output.type) for name, output in job.outputs.items()}


def _default_compute(parent: Job) -> str | None:
    return None if parent.pipeline is None else parent.pipeline.settings.default_compute


def _target(parent: Job, pipeline: PipelineJob, step: Step, name: str) -> OutputTarget:
    """Where a step's output goes: what the pipeline's output that it is says, what the step says, the default."""
    target = step.outputs.get(name, OutputTarget())
    if target.parent_output is not None:
        above = pipeline.outputs.get(target.parent_output, OutputTarget())
        path = above.path
        if path is not None:
            # whoever wrote it meant the job that they know of, not its step
            path = expanded_path(
                path, name=parent.name, output_name=target.parent_output, default_datastore=DEFAULT_DATASTORE
            )
        target = OutputTarget(
            path=path or target.path,
            type=target.type or above.type,
            name=above.name or target.name,
            version=above.version or target.version,
        )
    datastore = pipeline.settings.default_datastore
    if target.path is None and datastore is not None and not isinstance(step.component, PipelineComponent):
        target = replace(target, path=_OUTPUT_PATH.format(datastore=datastore))
    return target


def _deployment(component: Component, *, name: str, compute: str, variables: Mapping[str, str]) -> Deployment:
    """What the processes of a step need of a deployment."""
    if isinstance(component, PipelineComponent):
        return Deployment(name=name, endpoint_name="", model=NO_MODEL, compute=compute)
    if isinstance(component, CommandComponent):
        return Deployment(
            name=name,
            endpoint_name="",
            model=NO_MODEL,
            compute=compute,
            environment=component.environment,
            environment_variables={**component.environment_variables, **variables},
        )
    return _of_parallel(component, name=name, compute=compute, variables=variables)


def _of_parallel(component: ParallelComponent, *, name: str, compute: str, variables: Mapping[str, str]) -> Deployment:
    task, size = component.task, component.mini_batch_size
    code = None
    if task.code is not None and task.entry_script is not None:
        code = CodeConfiguration(code=task.code, scoring_script=task.entry_script)
    return Deployment(
        name=name,
        endpoint_name="",
        model=task.model or NO_MODEL,
        compute=compute,
        code_configuration=code,
        environment=task.environment,
        environment_variables={**component.environment_variables, **variables},
        instance_count=component.instance_count,
        max_concurrency_per_instance=component.max_concurrency_per_instance,
        mini_batch_size=10 if size is None else size.number,
        mini_batch_unit=SizeUnit.FILES if size is None else size.unit,
        output_action=OutputAction.SUMMARY_ONLY if task.append_row_to is None else OutputAction.APPEND_ROW,
        retry_settings=component.retry_settings,
        error_threshold=component.error_threshold,
        mini_batch_error_threshold=component.mini_batch_error_threshold,
        logging_level=component.logging_level,
    )
