"""The registry: what can be computed of a window's readings, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Part, Slots

NUMERIC = (pa.float64(), pa.int64())
ANY = (*NUMERIC, pa.string(), pa.bool_())


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """What a function asks for.

    read     from what is written to a number (durations in microseconds); raises ValueError with what is allowed
    meaning  for people, after "needs"
    default  None: it has to be given
    """

    name: str
    read: Callable[[float | str], float]
    meaning: str
    default: float | str | None = None


class Asked(NamedTuple):
    """Of which windows a result is wanted, and with what.

    slots     their places; each has at least one value
    until_us  of each, where its time ends: the window's end, of a session its last reading
    numbers   the function's parameters, in their order
    """

    slots: Slots
    until_us: npt.NDArray[np.int64]
    numbers: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """How a column of a window's row is computed.

    parts    what it needs to be kept of a column's values; functions of the same column share them
    read     from those parts to a result for each slot, where NaN means null, and None where results are strings
    takes    types of the readings' columns that it can be computed of
    result   type of its column; None: that of the readings' column
    always   whether there is a result for every window that has a value; stddev of one value is null
    meaning  for people
    """

    name: str
    meaning: str
    parts: Sequence[type[Part]]
    read: Callable[[Sequence[Any], Asked], npt.NDArray[Any]]
    takes: Sequence[pa.DataType] = NUMERIC
    result: pa.DataType | None = field(default_factory=pa.float64)
    always: bool = True
    parameters: Sequence[Parameter] = ()

    def parameter(self, name: str) -> Parameter:
        """Raises KeyError for an unknown name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)


FUNCTIONS: dict[str, Function] = {}
"""Name -> function. `register` puts one in."""


def register(function: Function) -> Function:
    """Let definitions name the function. Raises ValueError where the name is taken."""
    if function.name in FUNCTIONS:
        raise ValueError(f"there is a function {function.name!r} already")
    FUNCTIONS[function.name] = function
    return function
