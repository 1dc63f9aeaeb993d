"""Typed inputs and outputs of a component, and the literals that fit them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scoring.errors import InvalidInput

Scalar = str | int | float | bool


class ValueType(StrEnum):
    """Azure's words. The first four are literals, the others are files or folders; `path` is either."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"
    MLTABLE = "mltable"
    CUSTOM_MODEL = "custom_model"
    MLFLOW_MODEL = "mlflow_model"
    TRITON_MODEL = "triton_model"
    PATH = "path"

    @property
    def is_literal(self) -> bool:
        return self in _LITERALS


_LITERALS = frozenset({ValueType.STRING, ValueType.NUMBER, ValueType.INTEGER, ValueType.BOOLEAN})
_TRUE, _FALSE = "true", "false"


@dataclass(frozen=True, kw_only=True)
class InputDeclaration:
    """One input of a component.

    default   a literal of the type; of data a path or reference. An input with a default, or `optional`, may be left
              out; an optional one without a default then has no value
    min, max  bounds of numbers and integers, both allowed; `enum` lists all that is allowed, where it is not empty
    mode      how data is to be reached (`ro_mount`, `download`, …): on one machine all modes are the path itself
    """

    type: ValueType
    default: Scalar | None = None
    optional: bool = False
    min: float | None = None
    max: float | None = None
    enum: tuple[Scalar, ...] = ()
    mode: str | None = None
    description: str | None = None

    @property
    def may_be_left_out(self) -> bool:
        return self.optional or self.default is not None

    def literal(self, written: Scalar) -> Scalar:
        """The value as the type has it: `"5"` is 5 for an integer. Raises InvalidInput for one that does not fit."""
        value = _cast(self.type, written)
        number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        if number is not None and self.min is not None and number < self.min:
            raise InvalidInput(f"found {written}, must be at least {_number(self.min)}")
        if number is not None and self.max is not None and number > self.max:
            raise InvalidInput(f"found {written}, must be at most {_number(self.max)}")
        if self.enum and value not in self.enum:
            raise InvalidInput(f"found {written!r:.60}, allowed: {', '.join(str(each) for each in self.enum)}")
        return value


@dataclass(frozen=True, kw_only=True)
class OutputDeclaration:
    """One output of a component: a file or a folder."""

    type: ValueType = ValueType.URI_FOLDER
    mode: str | None = None
    description: str | None = None


def _cast(kind: ValueType, written: Scalar) -> Scalar:
    text = written.strip().lower() if isinstance(written, str) else None
    if kind is ValueType.STRING:
        return written if isinstance(written, str) else shown_literal(written)
    if kind is ValueType.BOOLEAN:
        if isinstance(written, bool):
            return written
        if text in {_TRUE, _FALSE}:
            return text == _TRUE
        raise InvalidInput(f"found {written!r:.60}, wanted true or false")
    if kind is ValueType.INTEGER:
        return _integer(written)
    if kind is ValueType.NUMBER:
        return _real(written)
    raise InvalidInput(f"found {written!r:.60}, wanted data of type {kind}: {{type: {kind}, path: …}}")


def _integer(written: Scalar) -> int:
    try:
        if isinstance(written, bool) or (isinstance(written, float) and not written.is_integer()):
            raise ValueError
        return int(written)
    except (ValueError, OverflowError):
        raise InvalidInput(f"found {written!r:.60}, wanted an integer") from None


def _real(written: Scalar) -> float | int:
    try:
        if isinstance(written, bool) or not math.isfinite(number := float(written)):
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidInput(f"found {written!r:.60}, wanted a number") from None
    return written if isinstance(written, int) else number


def shown_literal(value: Scalar) -> str:
    """As a command line gets it: Python's own text, `True`, `0.1`."""
    return str(value)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
