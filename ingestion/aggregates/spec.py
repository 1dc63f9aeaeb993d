"""What a window's row is to tell: a column, the function that fills it, and of which column of the readings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ingestion.aggregates.functions import FUNCTIONS, NUMERIC, Function
from ingestion.errors import InvalidInput
from ingestion.reading import READING_SCHEMA

READING_COLUMNS: Mapping[str, pa.DataType] = {name: READING_SCHEMA.field(name).type for name in ("value", "unit")}
"""What every reading offers to aggregates; a stream's optional fields, joins and derived columns come on top."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FRAME = ("window_start", "window_end", "topic", "partition", "first_offset", "last_offset", "revision", "date")


@dataclass(frozen=True, kw_only=True, slots=True)
class AggregateSpec:
    """One column of a window's row.

    column      its name in the row
    function    a name of FUNCTIONS
    of          the readings' column that it is computed of; readings where that is null are passed over
    parameters  what the function asks for, as written: `{"q": 0.99}`, `{"per": "1s"}`
    """

    column: str
    function: str
    of: str = "value"
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A parameter as its function takes it: durations in microseconds. Raises ValueError where it is not allowed.

        A parameter that has no default and is not given raises KeyError.
        """
        parameter = FUNCTIONS[self.function].parameter(name)
        given = self.parameters.get(name, parameter.default)
        if given is None:
            raise KeyError(name)
        return parameter.read(given)


BUILT_IN: Sequence[AggregateSpec] = (
    AggregateSpec(column="unit", function="latest", of="unit"),
    *(AggregateSpec(column=name, function=name) for name in ("count", "mean", "min", "max", "stddev", "last")),
    *(AggregateSpec(column=name, function=name) for name in ("median", "p95")),
)
"""Of the stream that needs no definition."""


def check(
    specs: Sequence[AggregateSpec],
    columns: Mapping[str, pa.DataType] = READING_COLUMNS,
    key: Sequence[str] = ("machine_id", "sensor_id"),
) -> None:
    """Raise InvalidInput where a row of these could not be computed; the message begins with the path of the fault.

    columns  the readings' columns that `of` may name, with their types
    key      the row's key columns, whose names are taken
    """
    if not specs:
        raise InvalidInput("aggregates: none are declared; a window's row has at least one, e.g. `count: count`")
    seen: set[str] = set()
    for spec in specs:
        path = f"aggregates.{spec.column}"
        if not _NAME.fullmatch(spec.column):
            raise InvalidInput(
                f"{path}: {spec.column!r} is no name of a column; it begins with a letter and has letters, digits "
                "and underscores, 63 at most"
            )
        if spec.column in seen:
            raise InvalidInput(f"{path}: the column is declared twice; give each aggregate its own name")
        if spec.column in (*key, *_FRAME):
            raise InvalidInput(f"{path}: every row has a column of this name already; choose another")
        seen.add(spec.column)
        _check_one(spec, path, columns)


def _check_one(spec: AggregateSpec, path: str, columns: Mapping[str, pa.DataType]) -> None:
    function = FUNCTIONS.get(spec.function)
    if function is None:
        raise InvalidInput(f"{path}.function: {spec.function!r} is unknown; there are {', '.join(sorted(FUNCTIONS))}")
    if spec.of not in columns:
        raise InvalidInput(f"{path}.of: readings have no column {spec.of!r}; they have {', '.join(sorted(columns))}")
    kind = columns[spec.of]
    if kind not in function.takes:
        of = "numbers (double or int64)" if function.takes == NUMERIC else ", ".join(map(str, function.takes))
        raise InvalidInput(f"{path}.of: {spec.function} is computed of {of}; {spec.of!r} is {kind}")
    _check_parameters(spec, function, path)


def _check_parameters(spec: AggregateSpec, function: Function, path: str) -> None:
    names = [parameter.name for parameter in function.parameters]
    for name in spec.parameters:
        if name not in names:
            allowed = f"has {', '.join(names)}" if names else "has no parameters"
            raise InvalidInput(f"{path}.{name}: {spec.function} {allowed}; remove it")
    for parameter in function.parameters:
        try:
            spec.number(parameter.name)
        except KeyError:
            raise InvalidInput(
                f"{path}.{parameter.name}: is missing; {spec.function} needs {parameter.meaning}"
            ) from None
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{path}.{parameter.name}: {error}") from None
