"""The least and the greatest value of a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots


class Extremes(SlotArrays):
    """Columns `min` and `max`."""

    states: ClassVar[Mapping[str, tuple[type, float]]] = {"min": (np.float64, np.inf), "max": (np.float64, -np.inf)}

    def add(self, arrivals: Arrivals) -> None:
        np.minimum.at(self.arrays["min"], arrivals.slot, arrivals.value)
        np.maximum.at(self.arrays["max"], arrivals.slot, arrivals.value)

    def merge(self, into: int, other: Extremes, source: int) -> None:
        self.arrays["min"][into] = min(self.arrays["min"][into], other.arrays["min"][source])
        self.arrays["max"][into] = max(self.arrays["max"][into], other.arrays["max"][source])

    def results(self, slots: Slots) -> Mapping[str, npt.NDArray[Any]]:
        return {name: held[slots] for name, held in self.arrays.items()}
