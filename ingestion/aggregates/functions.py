"""The registry: what can be computed of a window's readings, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from ingestion.duration import duration

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """How a column of a window's row is computed.

    takes    types of the readings' columns that it can be computed of
    result   type of its column; None: that of the readings' column
    always   whether there is a result for every window that has a value; stddev of one reading is null
    meaning  for people
    """

    name: str
    meaning: str
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


def _share(given: float | str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
        raise ValueError(f"{given!r} is no share; write a number between 0 and 1, e.g. 0.99")
    return float(given)


def _microseconds(given: float | str) -> float:
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is no duration; write e.g. 1s, 1m, 1h")
    return float(duration(given) // timedelta(microseconds=1))


_Q = Parameter(name="q", read=_share, meaning="the share of readings below the result, e.g. 0.99")
_PER = Parameter(name="per", read=_microseconds, meaning="the time that the change is given per", default="1s")

register(Function(name="count", meaning="how many values", takes=ANY, result=pa.int64()))
register(Function(name="sum", meaning="the values' sum, in the order of the offsets"))
register(Function(name="mean", meaning="the sum over the count"))
register(Function(name="stddev", meaning="standard deviation of the sample (n - 1); null of one value", always=False))
register(Function(name="min", meaning="the least value", result=None))
register(Function(name="max", meaning="the greatest value", result=None))
register(
    Function(
        name="first",
        meaning="the value at the least event time; of several there, the one that came first",
        takes=ANY,
        result=None,
    )
)
register(
    Function(
        name="last",
        meaning="the value at the greatest event time; of several there, the one that came last",
        takes=ANY,
        result=None,
    )
)
register(Function(name="latest", meaning="the value that came last, whatever its event time", takes=ANY, result=None))
register(
    Function(
        name="rate",
        meaning="change of the value over time: (last - first) / (their event times' distance), given per `per`; null "
        "where all values are of one moment. A counter that begins anew is a fall like any other",
        always=False,
        parameters=(_PER,),
    )
)
register(
    Function(
        name="quantile",
        meaning="the value that a share q of the values does not exceed, within 0.1 %",
        parameters=(_Q,),
    )
)
register(Function(name="median", meaning="quantile with q 0.5"))
register(Function(name="p95", meaning="quantile with q 0.95"))
register(
    Function(
        name="time_weighted_mean",
        meaning="mean over time: each value holds until the next one's event time, the last one to the window's end "
        "(in a session to its last reading); the time before the first value does not count",
    )
)
