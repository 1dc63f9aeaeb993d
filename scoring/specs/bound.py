"""What the inputs and outputs of steps and jobs are given: values, data, and bindings to other steps."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from scoring.components.binding import (
    EXPRESSION,
    Binding,
    DataReference,
    LiteralValue,
    OutputTarget,
    ParentInput,
    StepOutput,
    Value,
    parse_binding,
    parse_output_binding,
)
from scoring.components.declared import InputDeclaration, ValueType
from scoring.components.templates import wrong_in_path
from scoring.errors import InvalidInput
from scoring.specs.declarations import (
    InputTypeName,
    LiteralField,
    OutputTypeName,
    PortName,
    nothing_is_default,
    scalar,
)
from scoring.specs.document import described
from scoring.specs.fields import AssetName, Text, Version, local_path
from scoring.specs.job_input import InputMode, OutputMode
from scoring.specs.places import readable_path
from scoring.specs.references import DatastorePath, WrittenPath, parse_location
from scoring.specs.validation import Spec, refuse


class _Given(Spec):
    """The long form: data by its path, a literal by `value` (or `default`, as Azure's files have it)."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"description"})

    type: InputTypeName | None = None
    path: Annotated[str, Field(max_length=4096)] | None = None
    mode: InputMode | None = None
    value: LiteralField = None
    default: LiteralField = None
    description: Text | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> _Given:
        kind = _kind(self.type)
        is_literal = kind is not None and kind.is_literal
        if is_literal and self.path is not None and EXPRESSION.search(self.path) is None:
            raise refuse(f"an input of type {self.type} has a value, not a path", "path")
        if is_literal and self.mode is not None:
            raise refuse(f"only data has it, and this input is of type {self.type}", "mode")
        if self.value is not None and self.default is not None:
            raise refuse("the value is given already; give it once", "default")
        given = self.default if self.value is None else self.value
        if kind is not None and is_literal and self.path is None:
            if given is None:
                raise refuse("missing; it is required", "value")
            try:
                InputDeclaration(type=kind).literal(given)
            except InvalidInput as error:
                raise refuse(str(error), "value" if self.value is not None else "default") from None
        elif given is not None:
            field = "value" if self.value is not None else "default"
            raise refuse("only literals have it; give the type, e.g. type: string, or the data's path", field)
        elif self.path is None:
            raise refuse("missing; it is required", "path")
        return self

    def given(self) -> Value:
        if self.path is not None:
            return DataReference(path=self.path, type=_kind(self.type), mode=self.mode)
        literal = self.default if self.value is None else self.value
        assert self.type is not None
        assert literal is not None
        return LiteralValue(value=InputDeclaration(type=ValueType(self.type)).literal(literal))


class JobInputSpec(_Given):
    """An input of a job."""

    @field_validator("path")
    @classmethod
    def _readable(cls, path: str | None, info: ValidationInfo) -> str | None:
        return None if path is None else readable_path(path, info)


class StepInputSpec(_Given):
    """An input of a step: its path may be a binding."""

    @field_validator("path")
    @classmethod
    def _readable(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None:
            return None
        bound = _checked_binding(path)
        return readable_path(path, info) if isinstance(bound, LiteralValue) else str(bound)

    def binding(self) -> Binding:
        bound = parse_binding(self.path) if self.path is not None else None
        if bound is None or isinstance(bound, LiteralValue):
            return self.given()
        if isinstance(bound, ParentInput):
            return ParentInput(name=bound.name, type=_kind(self.type), mode=self.mode)
        return StepOutput(step=bound.step, output=bound.output, type=_kind(self.type), mode=self.mode)


def _kind(written: str | None) -> ValueType | None:
    return None if written is None else ValueType(written)


def _checked_binding(text: str) -> Binding:
    try:
        return parse_binding(text)
    except InvalidInput as error:
        raise refuse(str(error)) from None


def _step_literal(value: Any) -> Any:
    literal = scalar(value)
    if isinstance(literal, str):
        bound = _checked_binding(literal)
        return literal if isinstance(bound, LiteralValue) else str(bound)
    return literal


def _job_literal(value: Any) -> Any:
    literal = scalar(value)
    if isinstance(literal, str) and EXPRESSION.search(literal):
        raise refuse(f"found the expression {described(literal)}; a job's inputs have values, bindings are for steps")
    return literal


def given_form(value: Any) -> str:
    return "<given>" if isinstance(value, (dict, _Given)) else "<literal>"


StepInput = Annotated[
    Annotated[Any, BeforeValidator(_step_literal), Tag("<literal>")] | Annotated[StepInputSpec, Tag("<given>")],
    Discriminator(given_form),
]
JobInput = Annotated[
    Annotated[Any, BeforeValidator(_job_literal), Tag("<literal>")] | Annotated[JobInputSpec, Tag("<given>")],
    Discriminator(given_form),
]


class OutputTargetSpec(Spec):
    """Where an output goes; a text alone is its path, or in a step `${{parent.outputs.NAME}}`."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"description"})

    type: OutputTypeName | None = None
    path: Annotated[str, Field(max_length=4096)] | None = None
    mode: OutputMode | None = None
    name: AssetName | None = None
    version: Version | None = None
    description: Text | None = None

    @field_validator("path")
    @classmethod
    def _writable(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None:
            return None
        try:
            bound = parse_output_binding(path)
            if bound is not None:
                return f"${{{{parent.outputs.{bound}}}}}"
            if wrong := wrong_in_path(path):
                raise refuse(wrong)
            # names stand in for what is not known yet
            location = parse_location(EXPRESSION.sub("x", path))
        except InvalidInput as error:
            raise refuse(str(error)) from None
        if isinstance(location, WrittenPath):
            return local_path(path.removeprefix("file:") if path.startswith("file:.") else path, info)
        if not isinstance(location, DatastorePath):
            raise refuse(
                f"found {described(path)}; an output goes to a folder of this machine or to "
                "azureml://datastores/NAME/paths/PATH"
            )
        return path

    @model_validator(mode="after")
    def _named(self) -> OutputTargetSpec:
        if self.version is not None and self.name is None:
            raise refuse("only an output with a name has a version", "version")
        return self

    def target(self) -> OutputTarget:
        bound = None if self.path is None else parse_output_binding(self.path)
        return OutputTarget(
            path=self.path if bound is None else None,
            parent_output=bound,
            type=_kind(self.type),
            mode=self.mode,
            name=self.name,
            version=self.version,
        )


class JobOutputTargetSpec(OutputTargetSpec):
    """Where an output of a job goes."""

    @model_validator(mode="after")
    def _not_bound(self) -> JobOutputTargetSpec:
        if self.target().parent_output is not None:
            raise refuse(f"found the expression '{self.path}'; a job has no parent", "path")
        return self


def path_alone(value: Any) -> Any:
    """A text in place of the keys of an output is its path."""
    return {"path": value} if isinstance(value, str) else nothing_is_default(value)


def listed(value: Any) -> Any:
    """An input without a value is not given."""
    if isinstance(value, dict):
        return {name: given for name, given in value.items() if given is not None}
    return nothing_is_default(value)


StepInputs = Annotated[dict[PortName, StepInput], BeforeValidator(listed)]
JobInputs = Annotated[dict[PortName, JobInput], BeforeValidator(listed)]
StepOutputs = Annotated[
    dict[PortName, Annotated[OutputTargetSpec, BeforeValidator(path_alone)]], BeforeValidator(nothing_is_default)
]
JobOutputs = Annotated[
    dict[PortName, Annotated[JobOutputTargetSpec, BeforeValidator(path_alone)]], BeforeValidator(nothing_is_default)
]


def bindings(given: dict[str, Any]) -> dict[str, Binding]:
    """What a step's inputs are bound to."""
    return {name: each.binding() if isinstance(each, StepInputSpec) else _bound(each) for name, each in given.items()}


def _bound(literal: Any) -> Binding:
    return parse_binding(literal) if isinstance(literal, str) else LiteralValue(value=literal)


def job_values(given: dict[str, Any]) -> dict[str, Value]:
    """The values of a job's inputs."""
    return {
        name: each.given() if isinstance(each, JobInputSpec) else LiteralValue(value=each)
        for name, each in given.items()
    }


def targets(given: dict[str, Any]) -> dict[str, OutputTarget]:
    return {name: each.target() for name, each in given.items()}


def inferred(value: Value) -> InputDeclaration:
    """What a job declares that gives values alone."""
    if isinstance(value, DataReference):
        return InputDeclaration(type=value.type or ValueType.URI_FOLDER)
    literal = value.value
    if isinstance(literal, bool):
        return InputDeclaration(type=ValueType.BOOLEAN)
    if isinstance(literal, int):
        return InputDeclaration(type=ValueType.INTEGER)
    return InputDeclaration(type=ValueType.NUMBER if isinstance(literal, float) else ValueType.STRING)
