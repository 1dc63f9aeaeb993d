"""The least and the greatest value of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.functions import Asked, Function, register
from ingestion.aggregates.slots import NUMPY_TYPES, Arrivals, SlotArrays, Slots, State


class Least(SlotArrays):
    """The least value."""

    prefix = "extremes"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"min": (NUMPY_TYPES[kind], np.inf if kind == pa.float64() else np.iinfo(np.int64).max)}

    def add(self, arrivals: Arrivals) -> None:
        np.minimum.at(self.arrays["min"], arrivals.slot, arrivals.value)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        held = self.arrays["min"]
        held[into] = np.minimum(held[into], other.arrays["min"][source])


class Greatest(SlotArrays):
    """The greatest value."""

    prefix = "extremes"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"max": (NUMPY_TYPES[kind], -np.inf if kind == pa.float64() else np.iinfo(np.int64).min)}

    def add(self, arrivals: Arrivals) -> None:
        np.maximum.at(self.arrays["max"], arrivals.slot, arrivals.value)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        held = self.arrays["max"]
        held[into] = np.maximum(held[into], other.arrays["max"][source])


def _min(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    least: npt.NDArray[Any] = parts[0].arrays["min"][asked.slots]
    return least


def _max(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    greatest: npt.NDArray[Any] = parts[0].arrays["max"][asked.slots]
    return greatest


register(Function(name="min", meaning="the least value", parts=(Least,), read=_min, result=None))
register(Function(name="max", meaning="the greatest value", parts=(Greatest,), read=_max, result=None))
