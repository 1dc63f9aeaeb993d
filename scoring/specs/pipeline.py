"""Pipeline components and their steps; components in files of their own are read in where they are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from scoring.components.binding import ParentInput, StepOutput
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.components.graph import Interface, Node, faults
from scoring.components.templates import wrong_use
from scoring.errors import InvalidInput
from scoring.specs.bound import StepInputs, StepInputSpec, StepOutputs, bindings, inferred, targets
from scoring.specs.component import (
    CommandBody,
    CommandComponentSpec,
    Described,
    Distribution,
    ParallelBody,
    ParallelComponentSpec,
    ParallelOptions,
    check_task,
    ports,
    refuse_loose_name,
)
from scoring.specs.declarations import Inputs, Outputs, PortName
from scoring.specs.deployment import ComputeName, ResourcesSpec
from scoring.specs.document import Document, described, read_document
from scoring.specs.fields import Integer, Text, TextMap, lowered
from scoring.specs.named_file import read_in
from scoring.specs.not_here import KINDS, checked_kind
from scoring.specs.references import NamedKind, bare_name, parse_reference
from scoring.specs.validation import Spec, parse, refuse

MAX_STEPS = 500
MAX_FILES_DEEP = 8
MAX_FILES = 300

SERVERLESS, LOCAL = "serverless", "local"


def _serverless_is_local(value: Any) -> Any:
    """Azure's `serverless` leaves the machine to the service: here it is this one."""
    return LOCAL if isinstance(value, str) and bare_name(value).lower() == SERVERLESS else value


StepCompute = Annotated[ComputeName, BeforeValidator(_serverless_is_local)]


class LimitsSpec(Spec):
    timeout: Annotated[Integer, Field(ge=1, le=31_536_000)] | None = None


class StepCommon(Spec):
    """Keys of every step; some are taken only so that files written for Azure need no change."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"services", "identity", "queue_settings", "distribution", "comment"})

    inputs: StepInputs = Field(default_factory=dict)
    outputs: StepOutputs = Field(default_factory=dict)
    compute: StepCompute | None = None
    environment_variables: TextMap = Field(default_factory=dict)
    limits: LimitsSpec = LimitsSpec()
    display_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    comment: Text | None = None

    services: Any = None
    identity: Any = None
    queue_settings: Any = None


class ComponentStep(StepCommon, ParallelOptions):
    """`component: …`. What a parallel component says of mini-batches, its step may say otherwise."""

    component: ComponentField
    type: Annotated[str | None, BeforeValidator(lambda value: checked_kind(value, *KINDS))] = None
    resources: ResourcesSpec = ResourcesSpec()
    distribution: Distribution = None

    @model_validator(mode="after")
    def _consistent(self) -> ComponentStep:
        kind = None if isinstance(self.component, str) else self.component.type
        if self.type is not None and kind is not None and self.type != kind:
            raise refuse(f"found '{self.type}', but the component is of type {kind}", "type")
        known = kind or self.type
        if known not in {None, "parallel"}:
            for name in sorted(name for name in ParallelOptions.model_fields if getattr(self, name)):
                raise refuse(f"only a parallel component has it, and this one is of type {known}", name)
            if self.resources.instance_count not in {None, 1}:
                raise refuse("a command runs as one process on one instance, allowed: 1", "resources", "instance_count")
        return self


class CommandStep(StepCommon, CommandBody):
    """A command that is written into the step; its inputs are what they are bound to."""

    IGNORED: ClassVar[frozenset[str]] = StepCommon.IGNORED

    type: Annotated[Literal["command"], BeforeValidator(lowered)] = "command"
    is_deterministic: bool = True


class ParallelStep(StepCommon, ParallelBody):
    """A parallel task that is written into the step."""

    type: Annotated[Literal["parallel"], BeforeValidator(lowered)]
    is_deterministic: bool = True


def _step_form(value: Any) -> str | None:
    if isinstance(value, (ComponentStep, CommandStep, ParallelStep)):
        return {ComponentStep: "<component>", CommandStep: "<command>"}.get(type(value), "<parallel>")
    if not isinstance(value, dict):
        return None
    if "component" in value:
        return "<component>"
    return "<parallel>" if lowered(value.get("type")) == "parallel" else "<command>"


def _runnable(value: Any) -> Any:
    if isinstance(value, dict) and "component" not in value:
        kind = checked_kind(value.get("type"), *KINDS, path=("type",))
        if kind == "pipeline":
            raise refuse("missing; a step of type pipeline names or holds one", "component")
    return value


StepSpec = Annotated[
    Annotated[ComponentStep, Tag("<component>")]
    | Annotated[CommandStep, Tag("<command>")]
    | Annotated[ParallelStep, Tag("<parallel>")],
    Discriminator(_step_form, custom_error_type="step_form", custom_error_message="wanted the keys of a step"),
    BeforeValidator(_runnable),
]
Steps = Annotated[dict[PortName, StepSpec], Field(max_length=MAX_STEPS)]


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What of a component its users see."""

    inputs: Mapping[str, InputDeclaration] = field(default_factory=dict)
    outputs: Mapping[str, OutputDeclaration] = field(default_factory=dict)


class PipelineComponentSpec(Described):
    """`type: pipeline`: steps, and what of theirs goes in and out."""

    type: Annotated[Literal["pipeline"], BeforeValidator(lowered)]
    inputs: Inputs = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)
    jobs: Steps

    @model_validator(mode="after")
    def _graph(self) -> PipelineComponentSpec:
        inputs, outputs = ports(self)
        check_steps(Ports(inputs=inputs, outputs=outputs), self.jobs)
        return self


ComponentSpec = CommandComponentSpec | ParallelComponentSpec | PipelineComponentSpec


def _component_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<reference>"
    if isinstance(value, (CommandComponentSpec, ParallelComponentSpec, PipelineComponentSpec)):
        return f"<{value.type}>"
    return f"<{lowered(value.get('type')) or 'command'}>" if isinstance(value, dict) else None


def _whole(value: Any, info: ValidationInfo) -> Any:
    """A component's file is read in, its paths relative to itself; a reference is left as it is."""
    if isinstance(value, dict):
        checked_kind(value.get("type"), *KINDS, path=("type",))
        return {key: inner for key, inner in value.items() if key != "$schema"}
    if not isinstance(value, str):
        return value
    if not _is_file(value):
        try:
            parse_reference(value, NamedKind.COMPONENT)
        except InvalidInput as error:
            raise refuse(str(error)) from None
        return value
    context = {} if info.context is None else info.context

    def parsed(path: str) -> ComponentSpec:
        files: tuple[str, ...] = context.get("files", ())
        read: list[str] = context.setdefault("read", [])
        if (real := str(Path(path).resolve())) in files:
            raise refuse(f"found {described(value)}, a file that holds this one")
        if len(files) >= MAX_FILES_DEEP or len(read) >= MAX_FILES:
            most = f"{MAX_FILES_DEEP} files within each other and {MAX_FILES} files in all are read"
            raise refuse(f"found {described(value)}, one file too many; at most {most}")
        read.append(real)
        return parse_inline(read_document(path), files=(*files, real), read=read)

    return read_in(value, info, parsed, of_request="the component itself, not its path")


def _is_file(text: str) -> bool:
    if text.startswith(("azureml:", "/subscriptions/")):
        return False
    return "/" in text or text.startswith(("file:", "~")) or text.lower().endswith((".yml", ".yaml"))


ComponentField = Annotated[
    Annotated[str, AfterValidator(str), Tag("<reference>")]
    | Annotated[CommandComponentSpec, Tag("<command>")]
    | Annotated[ParallelComponentSpec, Tag("<parallel>")]
    | Annotated[PipelineComponentSpec, Tag("<pipeline>")],
    Discriminator(
        _component_form,
        custom_error_type="component_form",
        custom_error_message="wanted a reference such as azureml:NAME:VERSION, a file's path, or a component's keys",
    ),
    BeforeValidator(_whole),
]

_KINDS: Mapping[Any, type[Spec]] = {
    "command": CommandComponentSpec,
    "parallel": ParallelComponentSpec,
    "pipeline": PipelineComponentSpec,
}

ComponentStep.model_rebuild()
PipelineComponentSpec.model_rebuild()


def parse_inline(document: Document, *, files: tuple[str, ...] = (), read: list[str] | None = None) -> ComponentSpec:
    """A component whose name need not be said. Raises InvalidInput.

    files, read  the files that hold this one, and all that were read so far
    """
    kind = lowered(document.value.get("type")) or "command"
    try:
        checked_kind(document.value.get("type"), *KINDS)
    except ValueError as error:
        raise document.refusal(("type",), str(error)) from None
    within = files or document.files
    context = {"files": within, "read": [] if read is None else read}
    return parse(_KINDS[kind], document, context=context)  # type: ignore[return-value]


def parse_component(document: Document) -> ComponentSpec:
    """A component as `component create` takes it: with a name. Raises InvalidInput."""
    spec = parse_inline(document)
    if spec.name is None:
        raise document.refusal(("name",), "missing; it is required")
    try:
        refuse_loose_name(spec.name)
    except ValueError as error:
        raise document.refusal(("name",), str(error)) from None
    return spec


def check_steps(pipeline: Ports, steps: Mapping[str, Any]) -> None:
    """Refuses the first fault of the graph, as far as it shows without components that are registered elsewhere."""
    nodes = [
        Node(name=name, inputs=bindings(step.inputs), outputs=targets(step.outputs), interface=interface)
        for (name, step), interface in zip(steps.items(), interfaces(pipeline, steps), strict=True)
    ]
    for fault in faults(pipeline, nodes):
        raise refuse(fault.message, *fault.path)
    for node in nodes:
        step = steps[node.name]
        if node.interface is not None and not isinstance(step, ComponentStep):
            _check_written(node.name, step, node.interface)


def _check_written(name: str, step: CommandStep | ParallelStep, own: Interface) -> None:
    inputs, outputs = dict(own.inputs), dict(own.outputs)
    if isinstance(step, CommandStep):
        if wrong := wrong_use(step.command, inputs, outputs):
            raise refuse(wrong, "jobs", name, "command")
        return
    try:
        check_task(step, inputs, outputs)
    except ValueError as error:
        raise refuse(str(error), "jobs", name, *getattr(error, "path", ())) from None


def interfaces(pipeline: Ports, steps: Mapping[str, Any]) -> Iterator[Ports | None]:
    """Of every step; None where the component is only named."""
    outputs = {name: _declared_outputs(pipeline, step) for name, step in steps.items()}
    for name, step in steps.items():
        written = outputs[name]
        if written is None:
            yield None
        elif isinstance(step, ComponentStep):
            yield Ports(inputs=ports(step.component)[0], outputs=written)
        else:
            yield Ports(inputs=written_inputs(step, pipeline, outputs), outputs=written)


def _declared_outputs(pipeline: Ports, step: Any) -> Mapping[str, OutputDeclaration] | None:
    if not isinstance(step, ComponentStep):
        return written_outputs(step, pipeline)
    return None if isinstance(step.component, str) else ports(step.component)[1]


def written_outputs(step: CommandStep | ParallelStep, pipeline: Ports) -> dict[str, OutputDeclaration]:
    """The outputs of a step that holds its own command: of their own type, else the pipeline's, else folders."""
    found: dict[str, OutputDeclaration] = {}
    for name, target in targets(step.outputs).items():
        of_pipeline = pipeline.outputs.get(target.parent_output or "")
        kind = target.type or (of_pipeline.type if of_pipeline is not None else ValueType.URI_FOLDER)
        found[name] = OutputDeclaration(type=kind, mode=target.mode)
    return found


def written_inputs(
    step: CommandStep | ParallelStep,
    pipeline: Ports,
    outputs: Mapping[str, Mapping[str, OutputDeclaration] | None],
) -> dict[str, InputDeclaration]:
    """The inputs of a step that holds its own command: they are what they are bound to."""
    found: dict[str, InputDeclaration] = {}
    for name, bound in bindings(step.inputs).items():
        if isinstance(bound, ParentInput):
            of_pipeline = pipeline.inputs.get(bound.name)
            kind = bound.type or (of_pipeline.type if of_pipeline is not None else ValueType.URI_FOLDER)
            is_optional = of_pipeline is not None and of_pipeline.optional and of_pipeline.default is None
            found[name] = InputDeclaration(type=kind, optional=is_optional, mode=bound.mode)
        elif isinstance(bound, StepOutput):
            made = (outputs.get(bound.step) or {}).get(bound.output)
            kind = bound.type or (made.type if made is not None else ValueType.URI_FOLDER)
            found[name] = InputDeclaration(type=kind, mode=bound.mode)
        else:
            given = step.inputs[name]
            named = given.type if isinstance(given, StepInputSpec) else None
            found[name] = inferred(bound) if named is None else InputDeclaration(type=ValueType(named))
    return found
