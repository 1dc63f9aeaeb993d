"""How many readings a window holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots


class Count(SlotArrays):
    """Column `count`."""

    states: ClassVar[Mapping[str, tuple[type, float]]] = {"count": (np.int64, 0)}

    def add(self, arrivals: Arrivals) -> None:
        np.add.at(self.arrays["count"], arrivals.slot, 1)

    def merge(self, into: int, other: Count, source: int) -> None:
        self.arrays["count"][into] += other.arrays["count"][source]

    def results(self, slots: Slots) -> Mapping[str, npt.NDArray[Any]]:
        return {"count": self.arrays["count"][slots]}
