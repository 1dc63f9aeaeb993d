"""Sum, mean and standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.count import Count
from ingestion.aggregates.functions import Asked, Function, register
from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots, State


class Total(SlotArrays):
    """The sum of the values, in offset order."""

    prefix = "moments"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"total": (np.float64, 0.0)}

    def add(self, arrivals: Arrivals) -> None:
        np.add.at(self.arrays["total"], arrivals.slot, arrivals.number)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        self.arrays["total"][into] += other.arrays["total"][source]


class Spread(SlotArrays):
    """Sums of deviations from the window's first value, and of their squares.

    They keep the digits that the sum of plain squares would lose where the mean is large and the spread small.
    """

    prefix = "moments"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        start: State = (np.float64, 0.0)
        return {"n": (np.int64, 0), "shift": start, "deviation": start, "squares": start}

    def add(self, arrivals: Arrivals) -> None:
        slot, value = arrivals.slot, arrivals.number
        held = self.arrays
        fresh = held["n"][slot] == 0
        if fresh.any():
            # of repeated indices numpy keeps the last value: reversed, the first
            held["shift"][slot[fresh][::-1]] = value[fresh][::-1]
        np.add.at(held["n"], slot, 1)
        deviation = value - held["shift"][slot]
        np.add.at(held["deviation"], slot, deviation)
        np.add.at(held["squares"], slot, deviation * deviation)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        filled = other.arrays["n"][source] > 0
        into, source = into[filled], source[filled]
        mine, theirs = self.arrays, {name: held[source] for name, held in other.arrays.items()}
        mine["shift"][into] = np.where(mine["n"][into] == 0, theirs["shift"], mine["shift"][into])
        apart = theirs["shift"] - mine["shift"][into]
        mine["n"][into] += theirs["n"]
        mine["squares"][into] += theirs["squares"] + 2 * apart * theirs["deviation"] + theirs["n"] * apart * apart
        mine["deviation"][into] += theirs["deviation"] + theirs["n"] * apart


def _sum(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    total: npt.NDArray[Any] = parts[0].arrays["total"][asked.slots]
    return total


def _mean(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    count, total = parts
    with np.errstate(invalid="ignore"):
        mean: npt.NDArray[Any] = total.arrays["total"][asked.slots] / count.arrays["count"][asked.slots]
    return mean


def _stddev(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    held = {name: array[asked.slots] for name, array in parts[0].arrays.items()}
    n = held["n"].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = held["squares"] - held["deviation"] * held["deviation"] / n
        stddev: npt.NDArray[Any] = np.sqrt(np.maximum(spread, 0.0) / (n - 1))
    stddev[n <= 1] = np.nan
    return stddev


register(Function(name="sum", meaning="the values' sum, in the order of the offsets", parts=(Total,), read=_sum))
register(Function(name="mean", meaning="the sum over the count", parts=(Count, Total), read=_mean))
register(
    Function(
        name="stddev",
        meaning="standard deviation of the sample (n - 1); null of one value",
        parts=(Spread,),
        read=_stddev,
        always=False,
    )
)
