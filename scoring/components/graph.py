"""The order of a pipeline's steps, and what is wrong with what binds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from scoring.components.binding import Binding, DataReference, LiteralValue, OutputTarget, ParentInput, StepOutput
from scoring.components.component import PipelineComponent, Step
from scoring.components.declared import InputDeclaration, OutputDeclaration
from scoring.errors import InvalidInput


class Interface(Protocol):
    """What of a component its users see; every component has it."""

    @property
    def inputs(self) -> Mapping[str, InputDeclaration]: ...

    @property
    def outputs(self) -> Mapping[str, OutputDeclaration]: ...


@dataclass(frozen=True, kw_only=True)
class Node:
    """A step as the graph sees it; `interface` is None where the component has not been looked up yet."""

    name: str
    inputs: Mapping[str, Binding] = field(default_factory=dict)
    outputs: Mapping[str, OutputTarget] = field(default_factory=dict)
    interface: Interface | None = None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong, and where in the pipeline: `("jobs", "train", "inputs", "data")`."""

    path: tuple[str, ...]
    message: str

    def error(self) -> InvalidInput:
        return InvalidInput(self.message, place=".".join(self.path))


def needs(step: Step | Node) -> frozenset[str]:
    """The names of the steps whose outputs it reads."""
    return frozenset(bound.step for bound in step.inputs.values() if isinstance(bound, StepOutput))


def ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Each step after those that it needs; where that leaves a choice, as they were written. There is no cycle."""
    place = {step.name: number for number, step in enumerate(steps)}
    sorter = TopologicalSorter({step.name: needs(step) for step in steps})
    sorter.prepare()
    found: list[Step] = []
    ready = sorted(sorter.get_ready(), key=place.__getitem__)
    while ready:
        found.append(steps[place[ready[0]]])
        sorter.done(ready[0])
        ready = sorted([*ready[1:], *sorter.get_ready()], key=place.__getitem__)
    return tuple(found)


def check_pipeline(pipeline: PipelineComponent) -> None:
    """Raises InvalidInput for the first thing that is wrong, in it or in a pipeline that is one of its steps."""
    for fault in _faults_within(pipeline, ()):
        raise fault.error()


def _faults_within(pipeline: PipelineComponent, path: tuple[str, ...]) -> Iterator[Fault]:
    nodes = [Node(name=s.name, inputs=s.inputs, outputs=s.outputs, interface=s.component) for s in pipeline.jobs]
    for fault in faults(pipeline, nodes):
        yield Fault(path=(*path, *fault.path), message=fault.message)
    for step in pipeline.jobs:
        if isinstance(step.component, PipelineComponent):
            yield from _faults_within(step.component, (*path, "jobs", step.name, "component"))


def faults(pipeline: Interface, nodes: Sequence[Node]) -> Iterator[Fault]:
    """All that is wrong with a pipeline's steps, those of its outputs, and its cycles."""
    if not nodes:
        yield Fault(path=("jobs",), message="found no step; a pipeline has one at least")
    known = {node.name: node for node in nodes}
    for node in nodes:
        for name, bound in node.inputs.items():
            message = _wrong_source(pipeline, known, node, bound) or _wrong_input(pipeline, known, node, name, bound)
            if message:
                yield Fault(path=("jobs", node.name, "inputs", name), message=message)
        yield from _missing(node)
        yield from _wrong_outputs(pipeline, node)
    yield from _wrong_results(pipeline, nodes)
    yield from _cycle(nodes)


def _wrong_source(pipeline: Interface, known: Mapping[str, Node], node: Node, bound: Binding) -> str | None:
    """Where what an input is bound to does not exist."""
    if isinstance(bound, ParentInput) and bound.name not in pipeline.inputs:
        return f"found {bound}, but the pipeline has no such input; {_has('it has', pipeline.inputs)}"
    if not isinstance(bound, StepOutput):
        return None
    if bound.step == node.name:
        return f"found {bound}, an output of the step itself"
    if bound.step not in known:
        return f"found {bound}, but there is no such step; {_has('there are', known)}"
    written = _outputs_of(known[bound.step])
    if written is not None and bound.output not in written:
        return f"found {bound}, but that step has no such output; {_has('it has', written)}"
    return None


def _outputs_of(node: Node) -> Mapping[str, OutputDeclaration] | None:
    return None if node.interface is None else node.interface.outputs


def _wrong_input(pipeline: Interface, known: Mapping[str, Node], node: Node, name: str, bound: Binding) -> str | None:
    """Where the input does not exist, or takes something else."""
    if node.interface is None:
        return None
    declared = node.interface.inputs.get(name)
    if declared is None:
        return f"the component has no such input; {_has('it has', node.interface.inputs)}"
    if isinstance(bound, LiteralValue):
        try:
            declared.literal(bound.value)
        except InvalidInput as error:
            return str(error)
        return None
    if isinstance(bound, ParentInput):
        return _wrong_parent(pipeline.inputs[bound.name], declared, bound)
    if declared.type.is_literal:
        found = "data" if isinstance(bound, DataReference) else f"{bound}, which is data"
        return f"found {found}; the input is a literal of type {declared.type}"
    return None


def _wrong_parent(given: InputDeclaration, declared: InputDeclaration, bound: ParentInput) -> str | None:
    if given.type.is_literal != declared.type.is_literal:
        return f"found {bound}, which is of type {given.type}; the input is of type {declared.type}"
    if given.optional and given.default is None and not declared.may_be_left_out:
        return (
            f"found {bound}, which may be left out, and this input may not; "
            "give the pipeline's input a default, or make this one optional"
        )
    return None


def _missing(node: Node) -> Iterator[Fault]:
    for name, declared in node.interface.inputs.items() if node.interface is not None else ():
        if name not in node.inputs and not declared.may_be_left_out:
            message = f"missing; it is required, of type {declared.type}"
            yield Fault(path=("jobs", node.name, "inputs", name), message=message)


def _wrong_outputs(pipeline: Interface, node: Node) -> Iterator[Fault]:
    for name, target in node.outputs.items():
        written, message = _outputs_of(node), None
        if written is not None and name not in written:
            message = f"the component has no such output; {_has('it has', written)}"
        elif target.parent_output is not None and target.parent_output not in pipeline.outputs:
            found = f"${{{{parent.outputs.{target.parent_output}}}}}"
            message = f"found {found}, but the pipeline has no such output; {_has('it has', pipeline.outputs)}"
        if message is not None:
            yield Fault(path=("jobs", node.name, "outputs", name), message=message)


def _wrong_results(pipeline: Interface, nodes: Sequence[Node]) -> Iterator[Fault]:
    """Every output of the pipeline is written by exactly one step."""
    writers: dict[str, str] = {}
    for node in nodes:
        for name, target in node.outputs.items():
            if target.parent_output is None:
                continue
            before = writers.setdefault(target.parent_output, node.name)
            if before != node.name or list(_targets(node)).count(target.parent_output) > 1:
                message = f"the pipeline's output {target.parent_output} is written already, by step {before}"
                yield Fault(path=("jobs", node.name, "outputs", name), message=message)
                break
    for name in pipeline.outputs:
        if name not in writers:
            message = f"no step writes it; bind an output of a step to ${{{{parent.outputs.{name}}}}}"
            yield Fault(path=("outputs", name), message=message)


def _targets(node: Node) -> Iterator[str]:
    return (target.parent_output for target in node.outputs.values() if target.parent_output is not None)


def _cycle(nodes: Sequence[Node]) -> Iterator[Fault]:
    known = {node.name for node in nodes}
    try:
        TopologicalSorter({node.name: needs(node) & (known - {node.name}) for node in nodes}).prepare()
    except CycleError as error:
        way: list[str] = list(reversed(error.args[1]))
        message = f"the steps wait for each other: {' needs '.join(way)}"
        yield Fault(path=("jobs", way[0]), message=message)


def _has(what: str, names: Iterable[str]) -> str:
    listed = sorted(names)
    shown = ", ".join(listed[:12]) + (", …" if len(listed) > 12 else "")
    return f"{what}: {shown}" if listed else f"{what} none"
