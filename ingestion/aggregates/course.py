"""The course of a value over a window's time, and its mean over that time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.functions import Asked, Function, register
from ingestion.aggregates.slots import Arrivals, Ints, Slots

_Values = npt.NDArray[np.float64]


class Course:
    """Every value with its event time: what lies between two readings is known when both have come, in any order.

    State: windows' serials, event times and values, sorted by both; of one moment the value that came last. And what
    is not yet sorted in. As large as the readings of the open windows, 24 bytes each.
    """

    prefix = "course"

    def __init__(self, kind: pa.DataType) -> None:
        self._serials: Ints = np.zeros(0, np.int64)
        self._serial_of: Ints = np.zeros(0, np.int64)
        self._event_us: Ints = np.zeros(0, np.int64)
        self._value: _Values = np.zeros(0, np.float64)
        self._pending: list[tuple[Ints, Ints, _Values]] = []
        self._pending_size = 0

    def grow(self, size: int) -> None:
        more = size - len(self._serials)
        if more > 0:
            self._serials = np.concatenate((self._serials, np.full(more, -1, np.int64)))

    def open(self, slots: Slots, serials: Ints) -> None:
        self._serials[slots] = serials

    def add(self, arrivals: Arrivals) -> None:
        self._put(arrivals.serial, arrivals.event_us, arrivals.number)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        event_us, value, starts = other._of(source)
        self._put(np.repeat(self._serials[into], np.diff(starts)), event_us, value)

    def mean_until(self, slots: Slots, until_us: Ints) -> _Values:
        """Each value holds until the next one's time, the last one until the given time; NaN without values.

        Where no time passes it is the last value.
        """
        event_us, value, starts = self._of(slots)
        if len(value) == 0:
            return np.full(len(slots), np.nan)
        sizes = np.diff(starts)
        filled = np.flatnonzero(sizes)
        last = starts[1:][filled] - 1
        after = np.empty_like(event_us)
        after[:-1] = event_us[1:]
        after[last] = np.maximum(until_us[filled], event_us[last])
        held = (after - event_us).astype(np.float64)
        owner = np.repeat(np.arange(len(slots)), sizes)
        area, time = np.zeros(len(slots)), np.zeros(len(slots))
        np.add.at(area, owner, value * held)
        np.add.at(time, owner, held)
        mean = np.full(len(slots), np.nan)
        mean[filled] = value[last]
        passed = time > 0
        mean[passed] = area[passed] / time[passed]
        return mean

    def release(self, slots: Slots) -> None:
        self._settle()
        kept = ~np.isin(self._serial_of, self._serials[slots])
        self._serial_of, self._event_us = self._serial_of[kept], self._event_us[kept]
        self._value = self._value[kept]
        self._serials[slots] = -1

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        event_us, value, starts = self._of(slots)
        offsets = pa.array(starts, pa.int32())
        return {
            "course_us": pa.ListArray.from_arrays(offsets, pa.array(event_us)),
            "course": pa.ListArray.from_arrays(offsets, pa.array(value)),
        }

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        sizes = columns["course_us"].value_lengths().to_numpy()
        event_us = columns["course_us"].flatten().to_numpy()
        self._put(np.repeat(self._serials[slots], sizes), event_us, columns["course"].flatten().to_numpy())

    def _put(self, serial: Ints, event_us: Ints, value: _Values) -> None:
        self._pending.append((serial, event_us, value))
        self._pending_size += len(value)
        # values of one moment are joined when they are sorted in
        if self._pending_size > max(1 << 18, 2 * len(self._value)):
            self._settle()

    def _settle(self) -> None:
        if not self._pending:
            return
        held = (self._serial_of, self._event_us, self._value)
        serial, event_us, value = (np.concatenate(parts) for parts in zip(held, *self._pending, strict=True))
        order = np.lexsort((event_us, serial))  # stable: of one moment they stay in the order they came
        serial, event_us, value = serial[order], event_us[order], value[order]
        is_last = np.ones(len(order), bool)
        is_last[:-1] = (serial[1:] != serial[:-1]) | (event_us[1:] != event_us[:-1])
        self._serial_of, self._event_us, self._value = serial[is_last], event_us[is_last], value[is_last]
        self._pending, self._pending_size = [], 0

    def _of(self, slots: Slots) -> tuple[Ints, _Values, Ints]:
        """Times and values of the slots one after another, and where each slot's begin (one more than slots)."""
        self._settle()
        serials = self._serials[slots]
        low = np.searchsorted(self._serial_of, serials)
        sizes = np.searchsorted(self._serial_of, serials, side="right") - low
        starts = np.concatenate(([0], np.cumsum(sizes)))
        at = np.repeat(low - starts[:-1], sizes) + np.arange(starts[-1])
        return self._event_us[at], self._value[at], starts


def _time_weighted_mean(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    mean: npt.NDArray[Any] = parts[0].mean_until(asked.slots, asked.until_us)
    return mean


register(
    Function(
        name="time_weighted_mean",
        meaning="mean over time: each value holds until the next one's event time, the last one to the window's end "
        "(in a session to its last reading); the time before the first value does not count",
        parts=(Course,),
        read=_time_weighted_mean,
    )
)
