"""Session windows: where a reading belongs depends on the readings of its key before it, in offset order.

The rule, reading by reading, is `_Course.place`. Keys whose readings only lengthen their latest session, or begin
another after it, are placed all at once; the rule and this shorter way agree, which the laws of the aggregator test.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Slots
from ingestion.arrived import Arrived
from ingestion.placing import CORRECTS, IN_TIME, LATE, Placed
from ingestion.slot_table import SlotTable
from ingestion.watermark import NEVER, Watermarks, running_maximum
from ingestion.window import SessionWindow

Ints = npt.NDArray[np.int64]
_FOR_EVER = 2**62


@dataclass(slots=True)
class _Session:
    """slot is negative while the session has none: -1 - place in the list of those that begin."""

    start: int
    last: int
    slot: int
    closed: bool


@dataclass(slots=True)
class _Decisions:
    """What the rule decided, one element a reading; and what has to be done for it.

    begun   place of the reading that begins a session, and whether that is closed from its start
    merges  of each turn, pairs of slots: what takes up, and what is taken up
    """

    slot: list[int] = field(default_factory=list)
    fate: list[int] = field(default_factory=list)
    turn: list[int] = field(default_factory=list)
    begun: list[tuple[int, bool]] = field(default_factory=list)
    merges: list[list[tuple[int, int]]] = field(default_factory=list)


class Sessions:
    """Sessions lie in the table; of each key the end of the last one that was forgotten is kept beside it."""

    def __init__(self, window: SessionWindow, table: SlotTable, watermarks: Watermarks) -> None:
        self._table = table
        self._watermarks = watermarks
        self._gap = self.tick_us = window.gap_us
        self._longest = window.max_size_us or _FOR_EVER
        self._correction = window.correction_lateness_us
        self._latest: Ints = np.zeros(0, np.int64)  # of each key the slot of its latest session, or -1
        self.floor: Ints = np.zeros(0, np.int64)  # of each key event time that its forgotten sessions reached

    def place(self, arrived: Arrived) -> Placed:
        self._know(int(arrived.key.max()) + 1)
        order = np.argsort(arrived.key, kind="stable")
        at_once, slot_of = self._at_once(arrived, order)
        slot = np.full(len(arrived), -1, np.int64)
        slot[order] = slot_of
        places = order[~at_once]
        if len(places) == 0:
            return Placed(None, slot, None, arrived.event_us)
        fate = np.full(len(arrived), IN_TIME, np.int8)
        turn = np.zeros(len(arrived), np.int64)
        decided = self._one_by_one(arrived, places)
        slots = self._begin(arrived, places, decided)
        slot[places] = _with_slots(np.array(decided.slot, np.int64), slots)
        fate[places], turn[places] = decided.fate, decided.turn
        pairs = [_with_slots(np.array(of_turn, np.int64), slots) for of_turn in decided.merges]
        merges = [(of_turn[:, 0], of_turn[:, 1]) for of_turn in pairs]
        return Placed(None, slot, fate, arrived.event_us, turn if merges else None, merges)

    def counted(self, slot: Slots, event_us: Ints) -> None:
        table = self._table
        np.minimum.at(table.start_us, slot, event_us)
        np.maximum.at(table.last_us, slot, event_us)
        self._end(np.unique(slot))

    def merged(self, into: Slots, source: Slots) -> None:
        self._end(into)
        key = self._table.key[source]
        was_latest = self._latest[key] == source
        self._latest[key[was_latest]] = into[was_latest]

    def let_go(self, slots: Slots) -> None:
        key = self._table.key[slots]
        np.maximum.at(self.floor, key, self._table.end_us[slots])
        was_latest = self._latest[key] == slots
        self._latest[key[was_latest]] = -1

    def until_us(self, slots: Slots) -> Ints:
        return self._table.last_us[slots]

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        return {"start_us": pa.array(self._table.start_us[slots]), "last_us": pa.array(self._table.last_us[slots])}

    def load(self, columns: Mapping[str, pa.Array], key: Ints, machine: Ints) -> Slots:
        start_us, last_us = columns["start_us"].to_numpy(), columns["last_us"].to_numpy()
        self._know(int(key.max(initial=-1)) + 1)
        slots = self._open(key, machine, start_us)
        self._table.last_us[slots] = last_us
        self._end(slots)
        for place in np.lexsort((start_us, key)):
            self._latest[key[place]] = slots[place]
        return slots

    def lasting_floors(self, machine_of: Ints) -> Ints:
        """Keys whose floor later readings can still depend on.

        machine_of  of each key its machine
        """
        keys = np.arange(min(len(self.floor), len(machine_of)))
        floor = self.floor[keys]
        clock = self._watermarks.closed_until()[machine_of[keys]]
        matters = (floor + 2 * self._gap + self._correction > clock) | (self._latest[keys] >= 0)
        return keys[matters & (floor > NEVER)]

    def raise_floor(self, key: Ints, until_us: Ints) -> None:
        self._know(int(key.max(initial=-1)) + 1)
        np.maximum.at(self.floor, key, until_us)

    # -- all at once --------------------------------------------------------------------------------------------------

    def _at_once(self, arrived: Arrived, order: Ints) -> tuple[npt.NDArray[np.bool_], Slots]:
        """In the given order, by key: whose readings were placed, and their slots."""
        table = self._table
        key, event_us, clock = arrived.key[order], arrived.event_us[order], arrived.closed_until[order]
        first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
        local = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(key))))
        keys = key[first]
        latest = self._latest[keys]
        known = latest >= 0
        was_last = np.where(known, table.last_us[latest], NEVER)
        was_closed = known & table.closed[latest]
        newest = running_maximum(local, event_us, was_last)
        before = np.empty_like(newest)
        before[1:] = newest[:-1]
        before[first] = was_last
        begins = event_us >= before + self._gap
        # the latest session at each reading: the place that began it, or before all of them the one that was there
        begun_at = np.maximum.accumulate(np.where(begins, np.arange(len(key)), -1))
        is_new = begun_at >= first[local]
        start = np.where(is_new, event_us[begun_at], np.where(known, table.start_us[latest], _FOR_EVER)[local])
        joins = (
            (event_us >= start)
            & (event_us < start + self._longest)
            & (clock < np.minimum(before + self._gap, start + self._longest))
            & (is_new | ~was_closed[local])
        )
        opens = (event_us >= self.floor[key]) & (event_us + self._gap > clock)
        fails = np.where(begins, ~opens, ~joins)
        fine = ~np.bincount(local[fails], minlength=len(keys)).astype(bool)
        at_once = fine[local]
        slot = latest[local]
        new = np.flatnonzero(begins & at_once)
        opened = self._open(key[new], arrived.machine[order][new], event_us[new])
        slot_begun = np.full(len(key), -1, np.int64)
        slot_begun[new] = opened
        slot = np.where(is_new, slot_begun[begun_at], slot)
        np.put(self._latest, key[new], opened)  # of several of one key the last one stays
        return at_once, slot

    # -- one by one ---------------------------------------------------------------------------------------------------

    def _one_by_one(self, arrived: Arrived, places: Ints) -> _Decisions:
        """The rule for readings at these places, which are ordered by key and offset."""
        decided = _Decisions()
        held = self._sessions_of(np.unique(arrived.key[places]))
        course: _Course | None = None
        of_key = -1
        rows = zip(
            places.tolist(),
            arrived.key[places].tolist(),
            arrived.event_us[places].tolist(),
            arrived.closed_until[places].tolist(),
            strict=True,
        )
        for place, key, event_us, clock in rows:
            if course is None or key != of_key:
                of_key = key
                course = _Course(
                    self._gap, self._longest, self._correction, int(self.floor[key]), held.get(key, []), decided
                )
            course.place(place, event_us, clock)
        return decided

    def _sessions_of(self, keys: Ints) -> dict[int, list[_Session]]:
        table = self._table
        slots = np.flatnonzero(table.live & np.isin(table.key, keys))
        slots = slots[np.argsort(table.start_us[slots], kind="stable")]
        columns = (table.key, table.start_us, table.last_us, slots, table.closed)
        rows = zip(*((column if column is slots else column[slots]).tolist() for column in columns), strict=True)
        held: dict[int, list[_Session]] = {}
        for key, start, last, slot, closed in rows:
            held.setdefault(key, []).append(_Session(start, last, slot, closed))
        return held

    def _begin(self, arrived: Arrived, places: Ints, decided: _Decisions) -> Slots:
        """Open the sessions that were decided on."""
        at = np.array([place for place, _ in decided.begun], np.int64)
        closed = np.array([closed for _, closed in decided.begun], bool)
        slots = self._open(arrived.key[at], arrived.machine[at], arrived.event_us[at])
        self._table.closed[slots[closed]] = True
        for key, slot, start in zip(
            arrived.key[at].tolist(), slots.tolist(), arrived.event_us[at].tolist(), strict=True
        ):
            latest = self._latest[key]
            if latest < 0 or start > self._table.start_us[latest]:
                self._latest[key] = slot
        return slots

    # -- the table ----------------------------------------------------------------------------------------------------

    def _open(self, key: Ints, machine: Ints, start_us: Ints) -> Slots:
        slots = self._table.take(key, machine, start_us, start_us)
        self._table.group[slots] = self._table.serial[slots]
        self._end(slots)
        return slots

    def _end(self, slots: Slots) -> None:
        table = self._table
        table.end_us[slots] = np.minimum(table.last_us[slots] + self._gap, table.start_us[slots] + self._longest)

    def _know(self, keys: int) -> None:
        more = keys - len(self._latest)
        if more > 0:
            more = max(more, len(self._latest))
            self._latest = np.concatenate((self._latest, np.full(more, -1, np.int64)))
            self.floor = np.concatenate((self.floor, np.full(more, NEVER, np.int64)))


def _with_slots(decided: Ints, begun: Slots) -> Slots:
    """The slots, those of begun sessions put in."""
    slots = decided.copy()
    slots[decided < 0] = begun[-1 - decided[decided < 0]]
    return slots


class _Course:
    """One key's sessions, ordered by their start, while its readings pass."""

    def __init__(
        self, gap: int, longest: int, correction: int, floor: int, sessions: list[_Session], decided: _Decisions
    ) -> None:
        self._gap = gap
        self._longest = longest
        self._correction = correction
        self._floor = floor
        self._sessions = sessions
        self._decided = decided
        self._turn = 0

    def place(self, place: int, event: int, clock: int) -> None:
        """Decide on one reading, whose machine's windows had closed up to `clock` when it came."""
        self._close(clock)
        after = bisect_right(self._sessions, event, key=lambda session: session.start)
        if after > 0 and event < self._end(self._sessions[after - 1]):
            self._join(after - 1, event)
            return
        if event < self._floor:
            self._decide(0, LATE)
            return
        if after < len(self._sessions):
            following = self._sessions[after]
            near = following.start < event + self._gap and following.last < event + self._longest
            if near and not following.closed:
                following.start = event
                self._join(after, event)
                return
        end = event + min(self._gap, self._longest)
        if end + self._correction <= clock:
            self._decide(0, LATE)
            return
        closed = end <= clock
        slot = -1 - len(self._decided.begun)
        self._decided.begun.append((place, closed))
        self._sessions.insert(after, _Session(event, event, slot, closed))
        self._decide(slot, CORRECTS if closed else IN_TIME)

    def _join(self, at: int, event: int) -> None:
        """Count the reading into this session, which may reach the next one with it."""
        session = self._sessions[at]
        session.last = max(session.last, event)
        self._decide(session.slot, CORRECTS if session.closed else IN_TIME)
        if not session.closed:
            self._merge(at)

    def _merge(self, at: int) -> None:
        """Make one of this session and the next where they are open and near, and not too long together."""
        if at + 1 >= len(self._sessions):
            return
        one, other = self._sessions[at : at + 2]
        near = other.start < one.last + self._gap and other.last < one.start + self._longest
        if one.closed or other.closed or not near:
            return
        if self._turn == len(self._decided.merges):
            self._decided.merges.append([])
        self._decided.merges[self._turn].append((one.slot, other.slot))
        self._turn += 1
        one.last = max(one.last, other.last)
        del self._sessions[at + 1]

    def _decide(self, slot: int, fate: int) -> None:
        self._decided.slot.append(slot)
        self._decided.fate.append(fate)
        self._decided.turn.append(self._turn)

    def _end(self, session: _Session) -> int:
        return min(session.last + self._gap, session.start + self._longest)

    def _close(self, clock: int) -> None:
        """Close what has ended by now, and forget what is settled."""
        for session in self._sessions:
            if self._end(session) <= clock:
                session.closed = True
        while self._sessions and self._sessions[0].closed and self._end(self._sessions[0]) + self._correction <= clock:
            self._floor = max(self._floor, self._end(self._sessions.pop(0)))
