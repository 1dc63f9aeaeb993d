"""What a pipeline or a command names: data, places of outputs, computes. Pure: others look them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from scoring.components.binding import Binding, DataReference, OutputTarget, Value
from scoring.components.component import ParallelComponent, PipelineComponent, Step
from scoring.components.declared import ValueType
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.pipeline.planning import DEFAULT_COMPUTE

Freeze = Callable[[str, ValueType | None, str], str]
"""From a reference as it was written, its type and its place in the document to one that stays the same."""


def frozen(work: CommandJob | PipelineJob, freeze: Freeze) -> CommandJob | PipelineJob:
    """With the data of its inputs, and of a pipeline of all of its steps', frozen."""
    if isinstance(work, CommandJob):
        return replace(work, inputs=_values(work.inputs, freeze, ""))
    return replace(work, inputs=_values(work.inputs, freeze, ""), component=frozen_component(work.component, freeze))


def frozen_component(component: PipelineComponent, freeze: Freeze, place: str = "") -> PipelineComponent:
    """With the data that its steps name themselves frozen."""
    return replace(component, jobs=tuple(_step(step, freeze, f"{place}jobs.{step.name}.") for step in component.jobs))


def _step(step: Step, freeze: Freeze, place: str) -> Step:
    inputs: dict[str, Binding] = {
        name: _frozen(bound, freeze, f"{place}inputs.{name}") if isinstance(bound, DataReference) else bound
        for name, bound in step.inputs.items()
    }
    component = step.component
    if isinstance(component, PipelineComponent):
        component = frozen_component(component, freeze, f"{place}component.")
    return replace(step, inputs=inputs, component=component)


def _values(values: Mapping[str, Value], freeze: Freeze, place: str) -> dict[str, Value]:
    return {
        name: _frozen(value, freeze, f"{place}inputs.{name}") if isinstance(value, DataReference) else value
        for name, value in values.items()
    }


def _frozen(data: DataReference, freeze: Freeze, place: str) -> DataReference:
    return replace(data, path=freeze(data.path, data.type, place))


def output_places(work: CommandJob | PipelineJob) -> Iterator[tuple[str, str]]:
    """Every output's path that somebody wrote, after its place in the document."""
    yield from _targets(work.outputs, "")
    if isinstance(work, PipelineJob):
        yield from _of_steps(work.component, "")


def _of_steps(component: PipelineComponent, place: str) -> Iterator[tuple[str, str]]:
    for step in component.jobs:
        yield from _targets(step.outputs, f"{place}jobs.{step.name}.")
        if isinstance(step.component, PipelineComponent):
            yield from _of_steps(step.component, f"{place}jobs.{step.name}.component.")


def _targets(targets: Mapping[str, OutputTarget], place: str) -> Iterator[tuple[str, str]]:
    for name, target in targets.items():
        if target.path is not None:
            yield f"{place}outputs.{name}", target.path


def not_run_here(component: PipelineComponent, place: str = "") -> Iterator[tuple[str, str]]:
    """What a pipeline may say and nobody here can do: its place in the document, and why."""
    for step in component.jobs:
        inner, at = step.component, f"{place}jobs.{step.name}."
        if isinstance(inner, PipelineComponent):
            yield from not_run_here(inner, f"{at}component.")
        if not isinstance(inner, ParallelComponent):
            continue
        if inner.partition_keys:
            yield f"{at}partition_keys", "mini-batches are not made by values here; write mini_batch_size"
        if inner.inputs[inner.input_data].type is ValueType.MLTABLE:
            message = "a parallel step reads files here, no mltable; write type: uri_folder"
            yield f"{at}inputs.{inner.input_data}", message


def computes_of(work: CommandJob | PipelineJob) -> Mapping[str, str]:
    """The clusters that it will run on, each with a place in the document that says so."""
    if isinstance(work, CommandJob):
        return {work.compute or DEFAULT_COMPUTE: "compute"}
    default = work.settings.default_compute
    found: dict[str, str] = {}
    for name, place in _computes(work.component, default, ""):
        found.setdefault(name, place)
    return found


def _computes(component: PipelineComponent, default: str | None, place: str) -> Iterator[tuple[str, str]]:
    for step in component.jobs:
        own = step.compute or default
        said = f"{place}jobs.{step.name}.compute" if step.compute else "settings.default_compute"
        if isinstance(step.component, PipelineComponent):
            yield from _computes(step.component, own, f"{place}jobs.{step.name}.component.")
        else:
            yield own or DEFAULT_COMPUTE, said
