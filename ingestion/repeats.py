"""Which readings were counted before: the same (sensor_id, event_time, sequence) within an open window. Vectorised.

Readings that come in the order of their machine's event times and sequence numbers cost a comparison with the one
before. Else only where one is not newer than all of its window are the window's earlier readings searched. A reading
without a sequence number is never a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Slots
from ingestion.grouping import distinct
from ingestion.watermark import NEVER, maximum_before

Ints = npt.NDArray[np.int64]


def all_differ(event_us: Ints, sequence: Ints, runs: Ints) -> bool:
    """Whether none of the readings can be a repeat, since each comes after the one before in event time or sequence.

    runs  as in Passed: no reading is older than the one before it but where a run begins
    """
    equal = np.flatnonzero((event_us[1:] <= event_us[:-1]) & (sequence[1:] <= sequence[:-1])) + 1
    return len(equal) < len(runs) and bool(np.isin(equal, runs).all())


class Repeats:
    """What has been counted into the open windows. Windows are named by their serial, which is never used again."""

    def __init__(self) -> None:
        self._newest: Ints = np.zeros(0, np.int64)
        self._serials: Ints = np.zeros(0, np.int64)
        self._chunks: list[npt.NDArray[np.int64]] = []  # columns: serial, event_us, sequence

    def grow(self, size: int) -> None:
        more = size - len(self._newest)
        if more > 0:
            self._newest = np.concatenate((self._newest, np.full(more, NEVER, np.int64)))
            self._serials = np.concatenate((self._serials, np.full(more, -1, np.int64)))

    def open(self, slots: Slots, serials: Ints) -> None:
        self._newest[slots] = NEVER
        self._serials[slots] = serials

    def pick(
        self, slot: Slots, event_us: Ints, sequence: Ints, known: Ints | None, *, are_new: bool = False
    ) -> Ints | None:
        """Take note of the readings (in order); returns the places of those that are no repeats, or None for all.

        slot     of each reading
        known    places of the readings that carry a sequence number; None: all
        are_new  whether it is certain that none is a repeat
        """
        columns = (self._serials[slot], event_us, sequence)
        keys = np.stack(columns if known is None else [column[known] for column in columns])
        if are_new or keys.shape[1] == 0:
            np.maximum.at(self._newest, slot, event_us)
            self._chunks.append(keys)
            return None
        known = np.arange(len(slot)) if known is None else known
        slots, local = distinct(slot)
        suspect = event_us <= maximum_before(local, event_us, self._newest[slots])
        np.maximum.at(self._newest, slot, event_us)
        repeated = np.zeros(0, np.int64)
        if suspect.any():
            serials, moments = np.unique(self._serials[slot[suspect]]), event_us[suspect]
            repeated = known[self._repeated(keys, serials, int(moments.min()), int(moments.max()))]
        if len(repeated) == 0:
            self._chunks.append(keys)
            return None
        fresh = np.ones(len(slot), bool)
        fresh[repeated] = False
        self._chunks.append(keys[:, fresh[known]])
        return np.flatnonzero(fresh)

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        """Let the windows in `into` know what those in `source` have counted."""
        self._newest[into] = np.maximum(self._newest[into], other._newest[source])
        event_us, sequence, starts = other._of(source)
        self._chunks.append(np.stack((np.repeat(self._serials[into], np.diff(starts)), event_us, sequence)))

    def _repeated(self, keys: Ints, serials: Ints, first_us: int, last_us: int) -> Ints:
        """Columns of `keys` that are in our notes, or earlier in `keys`.

        Only the given windows and moments are looked at: a long session has many notes, and few of them are near.
        """
        self._join()
        noted = self._chunks[0] if self._chunks else keys[:, :0]
        noted = noted[:, (noted[1] >= first_us) & (noted[1] <= last_us)]
        noted = noted[:, np.isin(noted[0], serials)]
        mine = np.flatnonzero((keys[1] >= first_us) & (keys[1] <= last_us) & np.isin(keys[0], serials))
        if len(mine) == 0:
            return mine
        both = np.concatenate((noted, keys[:, mine]), axis=1)
        order = np.lexsort((np.arange(both.shape[1]), both[2], both[1], both[0]))
        ordered = both[:, order]
        same = np.concatenate(([False], (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)))
        places = order[same] - noted.shape[1]
        # what stands in the notes twice cannot be: places below 0 never are repeats
        return np.sort(mine[places[places >= 0]])

    def release(self, slots: Slots) -> None:
        gone = self._serials[slots]
        self._join()
        if self._chunks:
            held = self._chunks[0]
            self._chunks = [held[:, ~np.isin(held[0], gone)]]
        self._serials[slots] = -1

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        event_us, sequence, starts = self._of(slots)
        offsets = pa.array(starts, pa.int32())
        return {
            "newest_us": pa.array(self._newest[slots]),
            "noted_us": pa.ListArray.from_arrays(offsets, pa.array(event_us)),
            "noted_sequence": pa.ListArray.from_arrays(offsets, pa.array(sequence)),
        }

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        self._newest[slots] = columns["newest_us"].to_numpy()
        sizes = columns["noted_us"].value_lengths().to_numpy()
        event_us = columns["noted_us"].flatten().to_numpy()
        sequence = columns["noted_sequence"].flatten().to_numpy()
        if len(event_us):
            self._chunks.append(np.stack((np.repeat(self._serials[slots], sizes), event_us, sequence)))

    def _of(self, slots: Slots) -> tuple[Ints, Ints, Ints]:
        """Times and sequence numbers of the slots one after another, and where each slot's begin."""
        self._join()
        held = self._chunks[0] if self._chunks else np.zeros((3, 0), np.int64)
        held = held[:, np.argsort(held[0], kind="stable")]
        serials = self._serials[slots]
        low, high = np.searchsorted(held[0], serials), np.searchsorted(held[0], serials, side="right")
        starts = np.concatenate(([0], np.cumsum(high - low)))
        at = np.repeat(low - starts[:-1], high - low) + np.arange(starts[-1])
        return held[1][at], held[2][at], starts

    def _join(self) -> None:
        if len(self._chunks) > 1:
            self._chunks = [np.concatenate(self._chunks, axis=1)]
