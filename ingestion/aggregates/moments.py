"""Mean and standard deviation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots


class Moments(SlotArrays):
    """Columns `mean` (the sum in offset order over the count) and `stddev` (of the sample; null where the count is 1).

    The variance is computed from deviations of the window's first value, which keeps the digits that the sum of plain
    squares would lose where the mean is large and the spread small.
    """

    states: ClassVar[Mapping[str, tuple[type, float]]] = {
        "n": (np.int64, 0),
        "total": (np.float64, 0.0),
        "shift": (np.float64, 0.0),
        "deviation": (np.float64, 0.0),
        "squares": (np.float64, 0.0),
    }

    def add(self, arrivals: Arrivals) -> None:
        slot, value = arrivals.slot, arrivals.value
        held = self.arrays
        fresh = held["n"][slot] == 0
        if fresh.any():
            # of repeated indices numpy keeps the last value: reversed, the first
            held["shift"][slot[fresh][::-1]] = value[fresh][::-1]
        np.add.at(held["n"], slot, 1)
        np.add.at(held["total"], slot, value)
        deviation = value - held["shift"][slot]
        np.add.at(held["deviation"], slot, deviation)
        np.add.at(held["squares"], slot, deviation * deviation)

    def merge(self, into: int, other: Moments, source: int) -> None:
        mine, theirs = self.arrays, other.arrays
        n = theirs["n"][source]
        if n == 0:
            return
        if mine["n"][into] == 0:
            mine["shift"][into] = theirs["shift"][source]
        apart = theirs["shift"][source] - mine["shift"][into]
        mine["n"][into] += n
        mine["total"][into] += theirs["total"][source]
        mine["squares"][into] += theirs["squares"][source] + 2 * apart * theirs["deviation"][source] + n * apart * apart
        mine["deviation"][into] += theirs["deviation"][source] + n * apart

    def results(self, slots: Slots) -> Mapping[str, npt.NDArray[Any]]:
        n = self.arrays["n"][slots].astype(np.float64)
        deviation = self.arrays["deviation"][slots]
        spread = self.arrays["squares"][slots] - deviation * deviation / n
        with np.errstate(divide="ignore", invalid="ignore"):
            stddev = np.sqrt(np.maximum(spread, 0.0) / (n - 1))
        stddev[n == 1] = np.nan
        return {"mean": self.arrays["total"][slots] / n, "stddev": stddev}
