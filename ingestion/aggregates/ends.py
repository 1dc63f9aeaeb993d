"""A window's values at its first and last event time, and the change between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.functions import ANY, Asked, Function, Parameter, register
from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots, State, held_value
from ingestion.duration import duration


class First(SlotArrays):
    """The value at the least event time; of several there, the one that came first."""

    prefix = "first"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"first_us": (np.int64, np.iinfo(np.int64).max), "first": held_value(kind)}

    def add(self, arrivals: Arrivals) -> None:
        oldest = self.arrays["first_us"]
        before = oldest[arrivals.slot]
        np.minimum.at(oldest, arrivals.slot, arrivals.event_us)
        is_first = (arrivals.event_us == oldest[arrivals.slot]) & (arrivals.event_us < before)
        # of repeated indices numpy keeps the last value: reversed, the one that came first
        places = np.flatnonzero(is_first)[::-1]
        self.arrays["first"][arrivals.slot[places]] = arrivals.values_at(places)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        theirs = other.arrays["first_us"][source] < self.arrays["first_us"][into]
        for name, held in self.arrays.items():
            held[into[theirs]] = other.arrays[name][source[theirs]]


class Last(SlotArrays):
    """The value at the greatest event time; of several there, the one that came last."""

    prefix = "last"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"last_us": (np.int64, np.iinfo(np.int64).min), "last": held_value(kind)}

    def add(self, arrivals: Arrivals) -> None:
        newest = self.arrays["last_us"]
        np.maximum.at(newest, arrivals.slot, arrivals.event_us)
        places = np.flatnonzero(arrivals.event_us == newest[arrivals.slot])
        # of repeated indices numpy keeps the last value: the one that came last
        self.arrays["last"][arrivals.slot[places]] = arrivals.values_at(places)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        theirs = other.arrays["last_us"][source] >= self.arrays["last_us"][into]
        for name, held in self.arrays.items():
            held[into[theirs]] = other.arrays[name][source[theirs]]


def _first(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = parts[0].arrays["first"][asked.slots]
    return values


def _last(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = parts[0].arrays["last"][asked.slots]
    return values


def _rate(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    first, last = (part.arrays for part in parts)
    (per_us,) = asked.numbers
    change = last["last"][asked.slots].astype(np.float64) - first["first"][asked.slots].astype(np.float64)
    apart = (last["last_us"][asked.slots] - first["first_us"][asked.slots]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate: npt.NDArray[Any] = change / apart * per_us
    rate[apart == 0] = np.nan
    return rate


def _microseconds(given: float | str) -> float:
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is no duration; write e.g. 1s, 1m, 1h")
    return float(duration(given) // timedelta(microseconds=1))


_PER = Parameter(name="per", read=_microseconds, meaning="the time that the change is given per", default="1s")

register(
    Function(
        name="first",
        meaning="the value at the least event time; of several there, the one that came first",
        parts=(First,),
        read=_first,
        takes=ANY,
        result=None,
    )
)
register(
    Function(
        name="last",
        meaning="the value at the greatest event time; of several there, the one that came last",
        parts=(Last,),
        read=_last,
        takes=ANY,
        result=None,
    )
)
register(
    Function(
        name="rate",
        meaning="change of the value over time: (last - first) / (their event times' distance), given per `per`; null "
        "where all values are of one moment. A counter that begins anew is a fall like any other",
        parts=(First, Last),
        read=_rate,
        always=False,
        parameters=(_PER,),
    )
)
