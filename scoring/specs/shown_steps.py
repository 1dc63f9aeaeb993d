"""Commands, pipelines, their steps and deployments as the objects that `show` and `list` print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scoring.components.binding import LiteralValue, OutputTarget, Value
from scoring.components.component import CommandComponent, Component, ParallelComponent, PipelineComponent, Step
from scoring.components.jobs import CommandJob, PipelineDeployment, PipelineJob
from scoring.job import Job
from scoring.specs.shown_components import shown_input, shown_output, shown_settings, shown_step

Shown = dict[str, Any]


def shown_work(job: Job) -> Shown:
    """What is particular to a job that is no invocation of a model: its type, what it runs, inputs and outputs."""
    work = job.command or job.parallel or job.pipeline
    component = None if work is None else work.component
    shown: Shown = {
        "type": job.kind.value,
        "component": None if component is None else component_text(component),
        "environment_variables": dict(job.deployment.environment_variables),
        "inputs": {} if work is None else {name: shown_value(value) for name, value in work.inputs.items()},
        "outputs": _outputs(job, {} if work is None else work.outputs),
    }
    if job.parent is not None:
        shown |= {
            "parent_job_name": job.parent,
            "step": job.step,
            "reused_from": job.reused_from,
            "fingerprint": job.fingerprint,
        }
    if isinstance(component, CommandComponent):
        shown |= {"command": component.command, "code": component.code, "environment": component.environment}
    if job.command is not None or job.parallel is not None:
        limits = job.command or job.parallel
        assert limits is not None
        shown["limits"] = {"timeout": limits.timeout}
    if isinstance(component, ParallelComponent):
        shown |= _parallel(component)
    if job.pipeline is not None:
        shown["settings"] = shown_settings(job.pipeline.settings)
        shown["jobs"] = {step.name: _step(step) for step in job.pipeline.component.jobs}
    return shown


def shown_scheduled(work: CommandJob | PipelineJob) -> Shown:
    """What a schedule runs, as `create_job` takes it."""
    shown: Shown = {
        "type": "command" if isinstance(work, CommandJob) else "pipeline",
        "display_name": work.display_name,
        "experiment_name": work.experiment_name,
        "description": work.description,
        "tags": dict(work.tags),
        "properties": dict(work.properties),
        "inputs": {name: shown_value(value) for name, value in work.inputs.items()},
        "outputs": {name: shown_target(target) for name, target in work.outputs.items()},
    }
    if isinstance(work, PipelineJob):
        return {**shown, "component": component_text(work.component), "settings": shown_settings(work.settings)}
    component = work.component
    return {
        **shown,
        "command": component.command,
        "code": component.code,
        "environment": component.environment,
        "environment_variables": dict(work.environment_variables),
        "compute": work.compute,
        "limits": {"timeout": work.timeout},
    }


def shown_target(target: OutputTarget) -> Shown:
    return {
        "type": None if target.type is None else target.type.value,
        "path": target.path,
        "mode": target.mode,
        "name": target.name,
        "version": target.version,
    }


def shown_value(value: Value) -> Any:
    """A literal as it is; data with its type and path."""
    if isinstance(value, LiteralValue):
        return value.value
    return {"type": None if value.type is None else value.type.value, "path": value.path, "mode": value.mode}


def component_text(component: Component) -> str:
    return f"azureml:{component.name}:{component.version}"


def pipeline_deployment(deployment: PipelineDeployment) -> Shown:
    """Without the times of its creation, which `shown` adds."""
    component = deployment.component
    return {
        "id": f"/batch-endpoints/{deployment.endpoint_name}/deployments/{deployment.name}",
        "name": deployment.name,
        "endpoint_name": deployment.endpoint_name,
        "type": "pipeline",
        "description": deployment.description,
        "tags": dict(deployment.tags),
        "properties": dict(deployment.properties),
        "component": component_text(component),
        "settings": shown_settings(deployment.settings),
        "inputs": {name: shown_input(given) for name, given in component.inputs.items()},
        "outputs": {name: shown_output(given) for name, given in component.outputs.items()},
        "jobs": {step.name: _step(step) for step in component.jobs},
        "provisioning_state": "Succeeded",
    }


def _outputs(job: Job, wanted: Mapping[str, OutputTarget]) -> Shown:
    """Where they lie; of what has not begun, where they were asked to go."""
    shown: Shown = {}
    for name, target in wanted.items():
        shown[name] = {"type": None if target.type is None else target.type.value, "path": target.path}
    for name, output in job.outputs.items():
        shown[name] = {"type": output.type.value, "path": output.path}
    return shown


def _parallel(component: ParallelComponent) -> Shown:
    size, task = component.mini_batch_size, component.task
    return {
        "mini_batch_size": None if size is None else str(size.written),
        "input_data": component.input_data,
        "max_concurrency_per_instance": component.max_concurrency_per_instance,
        "error_threshold": component.error_threshold,
        "mini_batch_error_threshold": component.mini_batch_error_threshold,
        "task": {
            "type": task.kind,
            "code": task.code,
            "entry_script": task.entry_script,
            "program_arguments": task.program_arguments,
            "environment": task.environment,
            "append_row_to": task.append_row_to,
        },
    }


def _step(step: Step) -> Shown:
    shown = shown_step(step)
    if isinstance(step.component, PipelineComponent):
        shown["jobs"] = {inner.name: _step(inner) for inner in step.component.jobs}
    return shown
