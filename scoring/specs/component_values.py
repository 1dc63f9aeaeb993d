"""From specs of components, steps and jobs to their values, with everything that they name found or registered.

What is found where is `Content`'s part; its calls are the only effects. Every step of a pipeline is checked again
here, where all of its components are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from scoring.components.component import (
    CommandComponent,
    Component,
    ParallelComponent,
    ParallelTask,
    PipelineComponent,
    Step,
)
from scoring.components.declared import OutputDeclaration
from scoring.components.graph import Interface, check_pipeline
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.components.registered import ANONYMOUS_COMPONENT
from scoring.components.values import given_values
from scoring.deployment import RetrySettings
from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize
from scoring.model import ModelReference
from scoring.specs.bound import bindings, job_values, targets
from scoring.specs.component import (
    CommandBody,
    CommandComponentSpec,
    Described,
    ParallelBody,
    ParallelComponentSpec,
    ParallelOptions,
    port_name,
    ports,
)
from scoring.specs.environment import InlineEnvironment
from scoring.specs.model import InlineModel
from scoring.specs.pipeline import (
    CommandStep,
    ComponentSpec,
    ComponentStep,
    ParallelStep,
    PipelineComponentSpec,
    Ports,
    StepCommon,
    written_inputs,
    written_outputs,
)
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec


class Content(Protocol):
    """Looks up or registers what a spec names. `place` is the field, for errors: InvalidInput, NotFound, Conflict."""

    def code(self, folder: str, includes: Sequence[str], script: str | None, *, place: str) -> str:
        """The registry's copy of a code folder, with files put beside its own; `script` is to be in it."""
        ...

    def environment(self, written: str | InlineEnvironment, *, place: str) -> str:
        """`azureml:NAME:VERSION`."""
        ...

    def model(self, written: str | InlineModel, *, place: str) -> ModelReference: ...

    def component(self, reference: str, *, place: str) -> Component:
        """A registered component, whole."""
        ...

    def inline(self, component: Component) -> Component:
        """A component that was written into a step: with the name and version under which it is kept."""
        ...


def component_value(spec: ComponentSpec, content: Content, place: str = "") -> Component:
    """Raises InvalidInput for what is wrong only now that all components are known; and as `content`."""
    if isinstance(spec, CommandComponentSpec):
        inputs, outputs = ports(spec)
        return _command(spec, Ports(inputs=inputs, outputs=outputs), _said(spec), content, place)
    if isinstance(spec, ParallelComponentSpec):
        inputs, outputs = ports(spec)
        return _parallel(spec, Ports(inputs=inputs, outputs=outputs), _said(spec), content, place)
    return _pipeline(spec, content, place)


def pipeline_job(spec: PipelineJobSpec, content: Content) -> PipelineJob:
    """Raises as `component_value`."""
    given = job_values(spec.inputs)
    component = _of_job(spec, content)
    asked = targets(spec.outputs)
    for name in asked:
        if name not in component.outputs:
            has = ", ".join(sorted(component.outputs)) or "none"
            raise InvalidInput(f"the component has no such output; it has: {has}", place=f"outputs.{name}")
    return PipelineJob(
        component=component,
        inputs=given_values(component.inputs, given),
        outputs=asked,
        settings=spec.settings.settings(continues=False, compute=spec.compute),
        **_said_of_job(spec),
    )


def command_job(spec: CommandJobSpec, content: Content) -> CommandJob:
    """Raises as `component_value`."""
    said = {"name": ANONYMOUS_COMPONENT, "version": "1"}
    component = _command(spec, spec.own_ports(), said, content, "")
    kept = content.inline(component)
    assert isinstance(kept, CommandComponent)
    return CommandJob(
        component=kept,
        inputs=given_values(kept.inputs, job_values(spec.inputs)),
        outputs=targets(spec.outputs),
        compute=spec.compute,
        timeout=spec.limits.timeout,
        **_said_of_job(spec),
    )


def _of_job(spec: PipelineJobSpec, content: Content) -> PipelineComponent:
    if spec.component is None:
        steps = _steps(spec.own_ports(), spec.jobs or {}, content, "")
        own = spec.own_ports()
        whole = PipelineComponent(
            name=ANONYMOUS_COMPONENT, version="1", jobs=steps, inputs=own.inputs, outputs=_written(spec, steps)
        )
        check_pipeline(whole)
        kept = content.inline(whole)
    elif isinstance(spec.component, str):
        kept = content.component(spec.component, place="component")
    else:
        kept = content.inline(component_value(spec.component, content, "component"))
    if not isinstance(kept, PipelineComponent):
        raise InvalidInput(f"found a component of type {kept.kind}, wanted one of type pipeline", place="component")
    return kept


def _written(spec: PipelineJobSpec, steps: Sequence[Step]) -> dict[str, OutputDeclaration]:
    """The job's outputs: of the type that was said, else of the step's that writes them."""
    found = dict(spec.own_ports().outputs)
    for step in steps:
        for name, target in step.outputs.items():
            bound = target.parent_output
            if bound in found and bound is not None and targets(spec.outputs)[bound].type is None:
                made = step.component.outputs.get(name)
                kind = target.type or (made.type if made is not None else found[bound].type)
                found[bound] = replace(found[bound], type=kind)
    return found


def _pipeline(spec: PipelineComponentSpec, content: Content, place: str) -> PipelineComponent:
    inputs, outputs = ports(spec)
    own = Ports(inputs=inputs, outputs=outputs)
    steps = _steps(own, spec.jobs, content, place)
    whole = PipelineComponent(jobs=steps, inputs=inputs, outputs=outputs, **_said(spec))
    try:
        check_pipeline(whole)
    except InvalidInput as error:
        raise InvalidInput(
            str(error).removeprefix(f"{error.place}: "), place=_below(place, error.place or "")
        ) from None
    return whole


def _steps(pipeline: Interface, steps: Mapping[str, Any], content: Content, place: str) -> tuple[Step, ...]:
    own = Ports(inputs=pipeline.inputs, outputs=pipeline.outputs)
    components: dict[str, Component] = {}
    outputs: dict[str, Mapping[str, OutputDeclaration] | None] = {}
    for name, step in steps.items():
        if isinstance(step, ComponentStep):
            components[name] = _used(step, content, _below(place, f"jobs.{name}"))
            outputs[name] = components[name].outputs
        else:
            outputs[name] = written_outputs(step, own)
    for name, step in steps.items():
        if not isinstance(step, ComponentStep):
            seen = Ports(inputs=written_inputs(step, own, outputs), outputs=outputs[name] or {})
            components[name] = content.inline(_written_into(step, seen, content, _below(place, f"jobs.{name}")))
    return tuple(_step(name, step, components[name]) for name, step in steps.items())


def _step(name: str, step: StepCommon, component: Component) -> Step:
    written = {} if isinstance(step, (CommandStep, ParallelStep)) else step.environment_variables
    return Step(
        name=name,
        component=component,
        inputs=bindings(step.inputs),
        outputs=targets(step.outputs),
        compute=step.compute,
        environment_variables=written,
        timeout=step.limits.timeout,
        display_name=step.display_name,
        description=step.description,
        tags=step.tags,
        properties=step.properties,
    )


def _used(step: ComponentStep, content: Content, place: str) -> Component:
    """The component of a step, with what the step says otherwise."""
    named = _below(place, "component")
    if isinstance(step.component, str):
        component = content.component(step.component, place=named)
    else:
        component = content.inline(component_value(step.component, content, named))
    if step.type not in {None, component.kind}:
        message = f"found '{step.type}', but the component is of type {component.kind}"
        raise InvalidInput(message, place=_below(place, "type"))
    if isinstance(component, ParallelComponent):
        return replace(component, **_options(step, step.resources.instance_count))
    for name in ParallelOptions.model_fields:
        if getattr(step, name):
            message = f"only a parallel component has it, and this one is of type {component.kind}"
            raise InvalidInput(message, place=_below(place, name))
    return component


def _options(spec: ParallelOptions, instance_count: int | None) -> dict[str, Any]:
    """What was said of mini-batches, by the fields of a parallel component."""
    found: dict[str, Any] = {
        name: getattr(spec, name)
        for name in ("max_concurrency_per_instance", "error_threshold", "mini_batch_error_threshold", "logging_level")
        if getattr(spec, name) is not None
    }
    if spec.mini_batch_size is not None:
        found |= {"mini_batch_size": MiniBatchSize.parse(spec.mini_batch_size), "partition_keys": ()}
    if spec.partition_keys:
        found |= {"mini_batch_size": None, "partition_keys": tuple(spec.partition_keys)}
    if spec.retry_settings is not None:
        retry = spec.retry_settings
        found["retry_settings"] = RetrySettings(
            max_retries=retry.max_retries, timeout=retry.timeout, bisect=retry.bisect
        )
    if instance_count is not None:
        found["instance_count"] = instance_count
    return found


def _written_into(step: CommandStep | ParallelStep, seen: Interface, content: Content, place: str) -> Component:
    said = {"name": ANONYMOUS_COMPONENT, "version": "1", "is_deterministic": step.is_deterministic}
    if isinstance(step, CommandStep):
        return _command(step, seen, said, content, place)
    return _parallel(step, seen, said, content, place)


def _command(
    body: CommandBody, seen: Interface, said: Mapping[str, Any], content: Content, place: str
) -> CommandComponent:
    return CommandComponent(
        command=body.command,
        inputs=dict(seen.inputs),
        outputs=dict(seen.outputs),
        code=_code(body.code, body.additional_includes, None, content, _below(place, "code")),
        environment=_environment(body.environment, content, _below(place, "environment")),
        environment_variables=body.environment_variables,
        **said,
    )


def _parallel(
    body: ParallelBody, seen: Interface, said: Mapping[str, Any], content: Content, place: str
) -> ParallelComponent:
    task, at = body.task, _below(place, "task")
    return ParallelComponent(
        task=ParallelTask(
            kind="model" if task.type == "model" else "run_function",
            code=_code(task.code, (), task.entry_script, content, _below(at, "code")),
            entry_script=task.entry_script,
            program_arguments=task.program_arguments,
            environment=_environment(task.environment, content, _below(at, "environment")),
            model=None if task.model is None else content.model(task.model, place=_below(at, "model")),
            append_row_to=None if task.append_row_to is None else port_name(task.append_row_to),
        ),
        input_data=port_name(body.input_data),
        inputs=dict(seen.inputs),
        outputs=dict(seen.outputs),
        environment_variables=body.environment_variables,
        **_options(body, body.resources.instance_count),
        **said,
    )


def _code(folder: str | None, includes: Sequence[str], script: str | None, content: Content, place: str) -> str | None:
    return None if folder is None else content.code(folder, includes, script, place=place)


def _environment(written: str | InlineEnvironment | None, content: Content, place: str) -> str | None:
    return None if written is None else content.environment(written, place=place)


def _said(spec: Described) -> dict[str, Any]:
    return {
        "name": spec.name or ANONYMOUS_COMPONENT,
        "version": spec.version or "1",
        "display_name": spec.display_name,
        "description": spec.description,
        "tags": spec.tags,
        "properties": spec.properties,
        "is_deterministic": spec.is_deterministic,
    }


def _said_of_job(spec: PipelineJobSpec | CommandJobSpec) -> dict[str, Any]:
    said = ("name", "display_name", "experiment_name", "description", "tags", "properties")
    return {field: getattr(spec, field) for field in said}


def _below(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field
