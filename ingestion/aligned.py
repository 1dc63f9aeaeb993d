"""Tumbling and hopping windows: a reading's event time says which windows it lies in, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Slots
from ingestion.arrived import Arrived
from ingestion.grouping import distinct
from ingestion.placing import CORRECTS, LATE, Placed
from ingestion.slot_table import SlotTable
from ingestion.watermark import NEVER, Watermarks
from ingestion.window import HoppingWindow, TumblingWindow

Ints = npt.NDArray[np.int64]


class Aligned:
    """Window number n begins at n times `every`. The slot of a key's window is found by the key and the last bits of
    the number, where the window there is the one; else in the index of all.
    """

    def __init__(self, window: TumblingWindow | HoppingWindow, table: SlotTable, watermarks: Watermarks) -> None:
        self._table = table
        self._watermarks = watermarks
        self._every = self.tick_us = window.every_us
        self._size = window.size_us
        self._overlap = self._size // self._every
        self._ring = 1 << self._overlap.bit_length()
        self._index = _Index()
        self._near_slot: Ints = np.zeros(0, np.int64)
        self._near_number: Ints = np.zeros(0, np.int64)

    def place(self, arrived: Arrived) -> Placed:
        self._make_room(arrived.key)
        rows, number = self._windows_of(arrived.event_us)
        key, machine, closed_until = arrived.key, arrived.machine, arrived.closed_until
        if rows is not None:
            key, machine, closed_until = key[rows], machine[rows], closed_until[rows]
        start_us = number * self._every
        end_us = start_us + self._size
        is_closed = closed_until >= end_us
        some_closed = is_closed.any()
        if not some_closed and len(number) and int(number.max()) - int(number.min()) >= self._ring:
            # of so many windows few can be near: to look for all in the index at once is cheaper than to sort those out
            return Placed(rows, self._find(key, machine, number)[0], None, start_us)
        slot, missing = self._near(key, number)
        if not some_closed:
            slot[missing] = self._find(key[missing], machine[missing], number[missing])[0]
            return Placed(rows, slot, None, start_us)
        is_late = is_closed & (self._watermarks.settled_at(machine, closed_until) >= end_us)
        fate = is_closed.astype(np.int8) * CORRECTS
        fate[is_late] = LATE
        missing = missing[~is_late[missing]]
        in_time, corrects = missing[~is_closed[missing]], missing[is_closed[missing]]
        slot[in_time] = self._find(key[in_time], machine[in_time], number[in_time])[0]
        slot[corrects], opened = self._find(key[corrects], machine[corrects], number[corrects])
        self._table.closed[opened] = True
        return Placed(rows, slot, fate, start_us)

    def counted(self, slot: Slots, event_us: Ints) -> None:
        """Aligned windows do not move."""

    def merged(self, into: Slots, source: Slots) -> None:
        raise AssertionError("aligned windows do not merge")

    def let_go(self, slots: Slots) -> None:
        key, number = self._table.key[slots], self._table.start_us[slots] // self._every
        self._index.remove(slots)
        cell = key * self._ring + (number & (self._ring - 1))
        cell, slots = cell[cell < len(self._near_slot)], slots[cell < len(self._near_slot)]
        mine = self._near_slot[cell] == slots
        self._near_number[cell[mine]] = NEVER

    def until_us(self, slots: Slots) -> Ints:
        return self._table.end_us[slots]

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        return {"window": pa.array(self._table.start_us[slots] // self._every)}

    def load(self, columns: Mapping[str, pa.Array], key: Ints, machine: Ints) -> Slots:
        return self._open(key, machine, columns["window"].to_numpy())

    def _windows_of(self, event_us: Ints) -> tuple[Ints | None, Ints]:
        newest = event_us // self._every
        if self._overlap == 1:
            return None, newest
        rows = np.repeat(np.arange(len(event_us)), self._overlap)
        return rows, newest[rows] - np.tile(np.arange(self._overlap)[::-1], len(event_us))

    def _near(self, key: Ints, number: Ints) -> tuple[Slots, Ints]:
        """Slots, and the places whose slot is not near."""
        cell = key * self._ring + (number & (self._ring - 1))
        return self._near_slot[cell], np.flatnonzero(self._near_number[cell] != number)

    def _make_room(self, key: Ints) -> None:
        """For what is near of these keys."""
        short = (int(key.max()) + 1) * self._ring - len(self._near_slot)
        if short > 0:
            more = max(short, len(self._near_slot))
            self._near_slot = np.concatenate((self._near_slot, np.full(more, -1, np.int64)))
            self._near_number = np.concatenate((self._near_number, np.full(more, NEVER, np.int64)))

    def _find(self, key: Ints, machine: Ints, number: Ints) -> tuple[Slots, Slots]:
        """The windows' slots, opened where they are new; and those that are."""
        if len(key) == 0:
            return key, key
        first = int(number.min())
        width = int(number.max()) - first + 1
        if (int(key.max()) + 1) * width < 2**62:
            cells, place = distinct(key * width + (number - first))
            keys, numbers = np.divmod(cells, width)
            numbers += first
        else:
            (keys, numbers), place = np.unique(np.stack((key, number)), axis=1, return_inverse=True)
        machines = np.empty(len(keys), np.int64)
        machines[place] = machine
        slots = self._index.find(keys, numbers)
        new = np.flatnonzero(slots < 0)
        slots[new] = self._open(keys[new], machines[new], numbers[new])
        cell = keys * self._ring + (numbers & (self._ring - 1))
        self._near_slot[cell], self._near_number[cell] = slots, numbers
        # of several windows of a cell the last one is near now
        return slots[place], slots[new]

    def _open(self, key: Ints, machine: Ints, number: Ints) -> Slots:
        start_us = number * self._every
        slots = self._table.take(key, machine, start_us, start_us + self._size)
        self._index.add(key, number, slots)
        return slots


class _Index:
    """Slots by key and window number, sorted by both."""

    def __init__(self) -> None:
        self._key: Ints = np.zeros(0, np.int64)
        self._number: Ints = np.zeros(0, np.int64)
        self._slot: Ints = np.zeros(0, np.int64)

    def find(self, key: Ints, number: Ints) -> Slots:
        """Of each window its slot, or -1."""
        if len(self._key) == 0:
            return np.full(len(key), -1, np.int64)
        held, asked = self._joined(key, number)
        at = np.minimum(np.searchsorted(held, asked), len(held) - 1)
        return np.where(held[at] == asked, self._slot[at], -1)

    def add(self, key: Ints, number: Ints, slot: Slots) -> None:
        held, asked = self._joined(key, number)
        order = np.argsort(asked, kind="stable")
        at = np.searchsorted(held, asked[order])
        self._key = np.insert(self._key, at, key[order])
        self._number = np.insert(self._number, at, number[order])
        self._slot = np.insert(self._slot, at, slot[order])

    def remove(self, slots: Slots) -> None:
        gone = np.zeros(int(max(self._slot.max(initial=0), slots.max(initial=0))) + 1, bool)
        gone[slots] = True
        kept = ~gone[self._slot]
        self._key, self._number, self._slot = self._key[kept], self._number[kept], self._slot[kept]

    def _joined(self, key: Ints, number: Ints) -> tuple[Ints, Ints]:
        """Held windows and asked ones as one number each, in the order of key and number."""
        if len(key) == 0 and len(self._key) == 0:
            return key, key
        numbers = np.concatenate((self._number, number))
        least = int(numbers.min())
        width = int(numbers.max()) - least + 1
        if (int(max(key.max(initial=0), self._key.max(initial=0))) + 1) * width < 2**62:
            return self._key * width + (self._number - least), key * width + (number - least)
        known, rank = np.unique(numbers, return_inverse=True)
        held = len(self._number)
        return self._key * len(known) + rank[:held], key * len(known) + rank[held:]
