"""How many values a window holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.functions import ANY, Asked, Function, register
from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots, State


class Count(SlotArrays):
    """The number of values."""

    prefix = "count"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"count": (np.int64, 0)}

    def add(self, arrivals: Arrivals) -> None:
        np.add.at(self.arrays["count"], arrivals.slot, 1)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        self.arrays["count"][into] += other.arrays["count"][source]


def _count(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    counted: npt.NDArray[Any] = parts[0].arrays["count"][asked.slots]
    return counted


register(Function(name="count", meaning="how many values", parts=(Count,), read=_count, takes=ANY, result=pa.int64()))
