"""A component's inputs and outputs, as its YAML declares them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from scoring.components.declared import InputDeclaration, OutputDeclaration, Scalar, ValueType
from scoring.errors import InvalidInput
from scoring.specs.document import described
from scoring.specs.fields import Text, lowered
from scoring.specs.job_input import InputMode, OutputMode
from scoring.specs.places import readable_path
from scoring.specs.validation import Spec, refuse


def scalar(value: Any) -> Scalar | None:
    """A literal, as plain Python has it. Refuses lists and mappings."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise refuse(f"found {described(value)}, wanted a text, a number, or true or false")


def _output_type(value: Any) -> Any:
    kind = lowered(value)
    if isinstance(kind, str) and kind in set(ValueType) and ValueType(kind).is_literal:
        raise refuse(f"found {described(value)}; an output is a file or a folder: write the value into a file")
    return kind


def _name(name: str) -> str:
    if not name.replace("_", "a").replace("-", "a").isalnum() or not name.isascii() or len(name) > 128:
        raise refuse(f"found {described(name)}; a name has up to 128 letters, digits, underscores and hyphens")
    return name


PortName = Annotated[str, AfterValidator(_name)]
"""The name of an input, an output or a step: what an expression can name."""


def _given(value: Any) -> Scalar:
    literal = scalar(value)
    if literal is None:
        raise refuse("found nothing, wanted a text, a number, or true or false")
    return literal


LiteralField = Annotated[Scalar | None, BeforeValidator(scalar)]

DataTypeName = Literal["uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model", "path"]
OutputTypeName = Annotated[DataTypeName, BeforeValidator(_output_type)]
InputTypeName = Annotated[
    Literal[
        "string",
        "number",
        "integer",
        "boolean",
        "uri_file",
        "uri_folder",
        "mltable",
        "custom_model",
        "mlflow_model",
        "triton_model",
        "path",
    ],
    BeforeValidator(lowered),
]


class InputDeclarationSpec(Spec):
    """One input of a component."""

    type: InputTypeName
    default: LiteralField = None
    optional: bool = False
    min: float | None = None
    max: float | None = None
    enum: Annotated[list[Annotated[Scalar, BeforeValidator(_given)]], Field(max_length=1000)] | None = None
    mode: InputMode | None = None
    description: Text | None = None

    @field_validator("min", "max", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise refuse(f"found {described(value)}, wanted a number")
        return value

    @field_validator("default")
    @classmethod
    def _located(cls, default: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type")
        if default is None or kind is None or ValueType(kind).is_literal:
            return default
        if not isinstance(default, str):
            raise refuse(f"found {described(default)}, wanted a path or a reference such as azureml:NAME:VERSION")
        return readable_path(default, info)

    @model_validator(mode="after")
    def _fits(self) -> InputDeclarationSpec:
        kind = ValueType(self.type)
        for field in ("min", "max"):
            if getattr(self, field) is not None and kind not in {ValueType.NUMBER, ValueType.INTEGER}:
                raise refuse(f"only numbers and integers have it, and this input is of type {kind}", field)
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refuse("found a number larger than max", "min")
        if self.enum is not None and not kind.is_literal:
            raise refuse(f"only literals have it, and this input is of type {kind}", "enum")
        if self.mode is not None and kind.is_literal:
            raise refuse(f"only data has it, and this input is of type {kind}", "mode")
        if not kind.is_literal:
            return self
        try:
            of_type = InputDeclaration(type=kind)
            allowed = tuple(of_type.literal(each) for each in self.enum or ())
        except InvalidInput as error:
            raise refuse(str(error), "enum") from None
        try:
            if self.default is not None:
                InputDeclaration(type=kind, min=self.min, max=self.max, enum=allowed).literal(self.default)
        except InvalidInput as error:
            raise refuse(str(error), "default") from None
        return self

    def declaration(self) -> InputDeclaration:
        kind = ValueType(self.type)
        of_type = InputDeclaration(type=kind)
        enum, default = self.enum or [], self.default
        return InputDeclaration(
            type=kind,
            default=of_type.literal(default) if default is not None and kind.is_literal else default,
            optional=self.optional,
            min=self.min,
            max=self.max,
            enum=tuple(of_type.literal(each) for each in enum),
            mode=self.mode,
            description=self.description,
        )


class OutputDeclarationSpec(Spec):
    """One output of a component."""

    type: OutputTypeName = "uri_folder"
    mode: OutputMode | None = None
    description: Text | None = None

    def declaration(self) -> OutputDeclaration:
        return OutputDeclaration(type=ValueType(self.type), mode=self.mode, description=self.description)


def nothing_is_default(value: Any) -> Any:
    """`outputs:` and `outputs: {x: }` say nothing more than that they are there."""
    return {} if value is None else value


Inputs = Annotated[dict[PortName, InputDeclarationSpec], BeforeValidator(nothing_is_default)]
Outputs = Annotated[
    dict[PortName, Annotated[OutputDeclarationSpec, BeforeValidator(nothing_is_default)]],
    BeforeValidator(nothing_is_default),
]
