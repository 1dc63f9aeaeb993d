"""The table of windows that are open or can be corrected: one slot each, with what every kind of window has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ingestion.aggregates.slots import Slots, WindowState

Ints = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]
NO_OFFSET = np.iinfo(np.int64).max


class SlotTable:
    """Columns with one element a slot; a slot that is released is used again.

    live          whether the slot has a window; the other columns mean nothing where it has none
    closed        whether the window has closed: it is kept because it can be corrected
    held          whether the revisions know of it
    key, machine  their numbers
    start_us, end_us  the window's; a session's move
    last_us       event time of a session's last reading
    group         number of what is published together: of a machine's aligned windows their start
    serial        the window's number, never used again
    first_offset, last_offset  of the readings counted
    """

    def __init__(self, parts: Sequence[WindowState]) -> None:
        self._parts = parts
        self._free: list[int] = []
        self._next_serial = 0
        self.live: Truths = np.zeros(0, bool)
        self.closed: Truths = np.zeros(0, bool)
        self.held: Truths = np.zeros(0, bool)
        self.key: Ints = np.zeros(0, np.int64)
        self.machine: Ints = np.zeros(0, np.int64)
        self.start_us: Ints = np.zeros(0, np.int64)
        self.end_us: Ints = np.zeros(0, np.int64)
        self.last_us: Ints = np.zeros(0, np.int64)
        self.group: Ints = np.zeros(0, np.int64)
        self.serial: Ints = np.zeros(0, np.int64)
        self.first_offset: Ints = np.zeros(0, np.int64)
        self.last_offset: Ints = np.zeros(0, np.int64)
        self._grow(256)

    @property
    def open(self) -> Slots:
        """Slots of the windows that have not closed."""
        return np.flatnonzero(self.live & ~self.closed)

    def take(self, key: Ints, machine: Ints, start_us: Ints, end_us: Ints) -> Slots:
        """Open windows without readings; returns their slots."""
        count = len(key)
        short = count - len(self._free)
        if short > 0:
            self._grow(len(self.live) + max(short, len(self.live), 256))
        slots = np.array(self._free[: -count - 1 : -1], np.int64)
        del self._free[len(self._free) - count :]
        serials = self._next_serial + np.arange(count)
        self._next_serial += count
        for part in self._parts:
            part.open(slots, serials)
        self.live[slots] = True
        self.closed[slots] = self.held[slots] = False
        self.key[slots], self.machine[slots], self.serial[slots] = key, machine, serials
        self.start_us[slots], self.end_us[slots] = start_us, end_us
        self.last_us[slots] = self.group[slots] = start_us
        self.first_offset[slots], self.last_offset[slots] = NO_OFFSET, -1
        return slots

    def release(self, slots: Slots) -> None:
        """Forget windows."""
        if len(slots) == 0:
            return
        for part in self._parts:
            part.release(slots)
        self.live[slots] = False
        self._free.extend(slots.tolist())

    def merge(self, into: Slots, source: Slots) -> None:
        """Let the windows in `into`, which are distinct, take up those in `source`, which are gone then."""
        for part in self._parts:
            part.merge(into, part, source)
        for column, least in ((self.start_us, True), (self.first_offset, True), (self.last_offset, False)):
            column[into] = (np.minimum if least else np.maximum)(column[into], column[source])
        self.last_us[into] = np.maximum(self.last_us[into], self.last_us[source])
        self.release(source)

    def _grow(self, size: int) -> None:
        before = len(self.live)
        for name, held in self._columns().items():
            setattr(self, name, np.concatenate((held, np.zeros(size - before, held.dtype))))
        for part in self._parts:
            part.grow(size)
        self._free.extend(range(size - 1, before - 1, -1))

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {name: held for name, held in vars(self).items() if isinstance(held, np.ndarray)}
