"""Components, steps and bindings in the words of their YAML: what `show` prints can be created again."""

from __future__ import annotations

from typing import Any

from scoring.components.binding import Binding, DataReference, LiteralValue, OutputTarget, ParentInput, StepOutput
from scoring.components.component import CommandComponent, Component, ParallelComponent, PipelineComponent, Step
from scoring.components.declared import InputDeclaration, OutputDeclaration
from scoring.components.jobs import PipelineSettings

Shown = dict[str, Any]


def shown_component(component: Component) -> Shown:
    """What it does, without its name and what is said about it."""
    return {
        "type": component.kind,
        "inputs": {name: shown_input(each) for name, each in component.inputs.items()},
        "outputs": {name: shown_output(each) for name, each in component.outputs.items()},
        "is_deterministic": component.is_deterministic,
        **_own(component),
    }


def shown_value(given: Binding) -> Any:
    """A literal alone, a binding as its expression, data as `{type, path, mode}`."""
    if isinstance(given, LiteralValue):
        return given.value
    path = given.path if isinstance(given, DataReference) else str(given)
    if isinstance(given, (ParentInput, StepOutput)) and given.type is None and given.mode is None:
        return path
    return _known(type=None if given.type is None else given.type.value, path=path, mode=given.mode)


def shown_target(target: OutputTarget) -> Shown:
    bound = f"${{{{parent.outputs.{target.parent_output}}}}}" if target.parent_output is not None else target.path
    kind = None if target.type is None else target.type.value
    return _known(type=kind, path=bound, mode=target.mode, name=target.name, version=target.version)


def shown_settings(settings: PipelineSettings) -> Shown:
    return {
        "default_compute": settings.default_compute,
        "default_datastore": settings.default_datastore,
        "continue_on_step_failure": settings.continue_on_step_failure,
        "force_rerun": settings.force_rerun,
    }


def _own(component: Component) -> Shown:
    if isinstance(component, CommandComponent):
        return {
            "command": component.command,
            "code": component.code,
            "environment": component.environment,
            "environment_variables": dict(component.environment_variables),
        }
    if isinstance(component, PipelineComponent):
        return {"jobs": {step.name: shown_step(step) for step in component.jobs}}
    task = component.task
    return {
        "input_data": f"${{{{inputs.{component.input_data}}}}}",
        "task": _known(
            type=task.kind,
            code=task.code,
            entry_script=task.entry_script,
            program_arguments=task.program_arguments,
            environment=task.environment,
            model=None if task.model is None else str(task.model),
            append_row_to=None if task.append_row_to is None else f"${{{{outputs.{task.append_row_to}}}}}",
        ),
        "environment_variables": dict(component.environment_variables),
        **_options(component),
    }


def _options(component: ParallelComponent) -> Shown:
    size, retry = component.mini_batch_size, component.retry_settings
    return {
        **_known(
            mini_batch_size=None if size is None else str(size.written),
            partition_keys=list(component.partition_keys) or None,
        ),
        "resources": {"instance_count": component.instance_count},
        "max_concurrency_per_instance": component.max_concurrency_per_instance,
        "error_threshold": component.error_threshold,
        "mini_batch_error_threshold": component.mini_batch_error_threshold,
        "retry_settings": {
            "max_retries": retry.max_retries,
            "timeout": retry.timeout,
            **({"bisect": True} if retry.bisect else {}),
        },
        "logging_level": component.logging_level,
    }


def shown_step(step: Step) -> Shown:
    """Its component by name, what is bound to what, and what it says of mini-batches."""
    component = step.component
    return {
        "type": component.kind,
        "component": f"azureml:{component.name}:{component.version}",
        "inputs": {name: shown_value(bound) for name, bound in step.inputs.items()},
        "outputs": {name: shown_target(target) for name, target in step.outputs.items()},
        **_known(
            compute=step.compute,
            environment_variables=dict(step.environment_variables) or None,
            limits=None if step.timeout is None else {"timeout": step.timeout},
            display_name=step.display_name,
            description=step.description,
            tags=dict(step.tags) or None,
            properties=dict(step.properties) or None,
        ),
        **(_options(component) if isinstance(component, ParallelComponent) else {}),
    }


def shown_input(declared: InputDeclaration) -> Shown:
    return {
        "type": declared.type.value,
        **_known(
            optional=declared.optional or None,
            default=declared.default,
            min=declared.min,
            max=declared.max,
            enum=list(declared.enum) or None,
            mode=declared.mode,
            description=declared.description,
        ),
    }


def shown_output(declared: OutputDeclaration) -> Shown:
    return {"type": declared.type.value, **_known(mode=declared.mode, description=declared.description)}


def _known(**fields: Any) -> Shown:
    return {name: value for name, value in fields.items() if value is not None}
