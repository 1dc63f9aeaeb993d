"""The value that came last, whatever its event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.functions import ANY, Asked, Function, register
from ingestion.aggregates.slots import Arrivals, SlotArrays, Slots, State, held_value


class Latest(SlotArrays):
    """The value of the greatest offset; of several in one message, its last."""

    prefix = "latest"

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        return {"latest": held_value(kind), "latest_offset": (np.int64, -1)}

    def add(self, arrivals: Arrivals) -> None:
        newest = self.arrays["latest_offset"]
        np.maximum.at(newest, arrivals.slot, arrivals.offset)
        places = np.flatnonzero(arrivals.offset == newest[arrivals.slot])
        # of repeated indices numpy keeps the last value: the one that came last
        self.arrays["latest"][arrivals.slot[places]] = arrivals.values_at(places)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        theirs = other.arrays["latest_offset"][source] >= self.arrays["latest_offset"][into]
        for name, held in self.arrays.items():
            held[into[theirs]] = other.arrays[name][source[theirs]]


def _latest(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = parts[0].arrays["latest"][asked.slots]
    return values


register(
    Function(
        name="latest",
        meaning="the value that came last, whatever its event time",
        parts=(Latest,),
        read=_latest,
        takes=ANY,
        result=None,
    )
)
