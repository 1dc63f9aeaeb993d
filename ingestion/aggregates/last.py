"""The value at a window's greatest event time; of several there, the one that came last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots


class Last(SlotArrays):
    """Column `last`."""

    states: ClassVar[Mapping[str, tuple[type, float]]] = {
        "last_us": (np.int64, np.iinfo(np.int64).min),
        "last": (np.float64, 0.0),
    }

    def add(self, arrivals: Arrivals) -> None:
        newest = self.arrays["last_us"]
        np.maximum.at(newest, arrivals.slot, arrivals.event_us)
        at_newest = arrivals.event_us == newest[arrivals.slot]
        # of repeated indices numpy keeps the last value: the one that came last
        self.arrays["last"][arrivals.slot[at_newest]] = arrivals.value[at_newest]

    def merge(self, into: int, other: Last, source: int) -> None:
        if other.arrays["last_us"][source] >= self.arrays["last_us"][into]:
            self.arrays["last_us"][into] = other.arrays["last_us"][source]
            self.arrays["last"][into] = other.arrays["last"][source]

    def results(self, slots: Slots) -> Mapping[str, npt.NDArray[Any]]:
        return {"last": self.arrays["last"][slots]}
