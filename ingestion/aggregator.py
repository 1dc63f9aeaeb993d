"""One partition's open windows: readings are folded in, windows close, rows come out. No clock, no Kafka, no files.

The rows depend on the readings and their offsets alone, not on how they were cut into calls, and a state that was
saved and loaded goes on as if nothing had happened. The one outside decision, that a silent machine's windows close,
comes in through `close_idle` and has to be committed before anything else is folded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.folding import Folding
from ingestion.aggregates.slots import Slots
from ingestion.aligned import Aligned
from ingestion.arrived import Arrived
from ingestion.checkpoint import Checkpoint, Counters, Progress, State, from_microseconds, pack, unpack
from ingestion.freshness import Minutes
from ingestion.keys import Keys
from ingestion.placing import CORRECTS, IN_TIME, LATE, Placed, Placing
from ingestion.repeats import Repeats, all_differ
from ingestion.revisions import MachineWindow, Revisions, rounds_of
from ingestion.sessions import Sessions
from ingestion.shape import WindowShape
from ingestion.slot_table import SlotTable
from ingestion.stored_windows import StoredWindows
from ingestion.watermark import Watermarks
from ingestion.window import HoppingWindow, SessionWindow

Ints = npt.NDArray[np.int64]
_TIMESTAMP = pa.timestamp("us", tz="UTC")
_PLACED_AT_ONCE = 1 << 20
"""Readings times windows that each lies in: bounds the memory of a fold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """What a fold brought, in the shape's schemas: rows of closed or corrected windows, and late readings."""

    windows: pa.Table
    late: pa.Table


class Aggregator:
    """Folds one partition's readings, which have to come in the order of their offsets."""

    def __init__(self, shape: WindowShape, topic: str, partition: int) -> None:
        window = shape.window
        self.shape = shape
        self.topic = topic
        self.partition = partition
        self.counters = Counters()
        self.watermarks = Watermarks(window.allowed_lateness_us, window.correction_lateness_us)
        self._schema = shape.schema
        self._late_schema = shape.late_schema
        self._correction_us = window.correction_lateness_us
        self._keys = Keys(shape.key, self.watermarks)
        self._folding = Folding(shape.aggregates, shape.columns)
        self._repeats = Repeats()
        self._revisions = Revisions()
        self._table = SlotTable([*(part for _, part in self._folding.parts), self._repeats])
        self._placing: Placing
        if isinstance(window, SessionWindow):
            self._placing = Sessions(window, self._table, self.watermarks)
        else:
            self._placing = Aligned(window, self._table, self.watermarks)
        overlap = window.size // window.every if isinstance(window, HoppingWindow) else 1
        self._at_once = max(_PLACED_AT_ONCE // overlap, 1) if overlap > 1 else 2**62

    @property
    def open_windows(self) -> int:
        return len(self._table.open)

    @property
    def is_waiting(self) -> bool:
        """Whether there are windows that only later readings, or silence, will close or publish."""
        return len(self._revisions.changed) > 0 or self.open_windows > 0

    def fold(self, readings: pa.RecordBatch, offsets: Ints) -> Folded:
        """Fold good readings in offset order.

        readings  machine_id, sensor_id, event_time, value, unit, sequence, and what else the shape's key and aggregates
                  name; nulls in unit, sequence and those further columns only
        """
        windows, late = [self._schema.empty_table()], [self._late_schema.empty_table()]
        for begin in range(0, readings.num_rows, self._at_once):
            part = readings.slice(begin, self._at_once)
            folded = self._fold(part, offsets[begin : begin + self._at_once])
            windows.append(folded.windows)
            late.append(folded.late)
        return Folded(windows=pa.concat_tables(windows), late=pa.concat_tables(late))

    def refuse(self, refused: Mapping[str, int]) -> None:
        """Count readings that went to the dead-letter topic, by reason."""
        reasons = dict(self.counters.dead_letters)
        for reason, count in refused.items():
            reasons[reason] = reasons.get(reason, 0) + count
        self.counters = replace(self.counters, dead_letters=reasons)

    def machines_with_open_windows(self) -> list[str]:
        """Those with windows that are open, or corrected and not yet published."""
        of_open = np.unique(self._table.machine[self._table.open]).tolist()
        of_changed = {machine for machine, _ in self._revisions.changed}
        return [self.watermarks.names[code] for code in sorted(of_changed.union(of_open))]

    def close_idle(self, machines: Sequence[str]) -> pa.Table:
        """Close all open windows of the named machines, and publish what was corrected of them."""
        table = self._table
        codes = self.watermarks.codes_of(list(machines))
        slots = table.open
        slots = slots[np.isin(table.machine[slots], codes)]
        self.watermarks.raise_floor(table.machine[slots], table.end_us[slots])
        windows = pa.concat_tables([self._close(), self._settle(codes.tolist())])
        self._tally(windows=windows.num_rows)
        return windows

    # -- folding ------------------------------------------------------------------------------------------------------

    def _fold(self, readings: pa.RecordBatch, offsets: Ints) -> Folded:
        arrived = Arrived(readings, offsets)
        arrived.machine, arrived.key = self._keys.identify(readings)
        arrived.closed_until, runs = self.watermarks.advance(arrived.machine, arrived.event_us)
        sequence, _, valid = arrived.column("sequence")
        arrived.are_new = runs is not None and valid is None and all_differ(arrived.event_us, sequence, runs)
        placed = self._placing.place(arrived)
        pairs = len(placed.slot)
        if placed.fate is None:
            accepted = self._count_in_time(arrived, placed, None)
            windows = pa.concat_tables([self._close(), self._settle(())])
            self._tally(accepted=accepted, duplicates=pairs - accepted, windows=windows.num_rows)
            return Folded(windows=windows, late=self._late_schema.empty_table())
        accepted = self._count_in_time(arrived, placed, np.flatnonzero(placed.fate == IN_TIME))
        # a reading that finds its window closed comes after all those that did not
        windows = self._close()
        corrections, revised = self._correct(arrived, placed, np.flatnonzero(placed.fate == CORRECTS))
        windows = pa.concat_tables([windows, revised, self._settle(())])
        is_late = np.flatnonzero(placed.fate == LATE)
        rows = is_late if placed.rows is None else placed.rows[is_late]
        late = arrived.as_late(rows, placed.start_us[is_late], self._late_schema, self.topic, self.partition)
        accepted += corrections
        self._tally(
            accepted=accepted,
            late=late.num_rows,
            duplicates=pairs - late.num_rows - accepted,
            windows=windows.num_rows,
            corrections=corrections,
        )
        return Folded(windows=windows, late=late)

    def _count_in_time(self, arrived: Arrived, placed: Placed, chosen: Ints | None) -> int:
        """Fold readings that found their windows open (None: all), merging windows on the way: how many were new."""
        if placed.turn is None:
            return len(self._count(arrived, placed, chosen))
        counted = 0
        places = np.arange(len(placed.slot)) if chosen is None else chosen
        turns = placed.turn[places]
        for number in range(len(placed.merges) + 1):
            counted += len(self._count(arrived, placed, places[turns == number]))
            if number < len(placed.merges):
                into, source = placed.merges[number]
                self._table.merge(into, source)
                self._placing.merged(into, source)
        return counted

    def _count(self, arrived: Arrived, placed: Placed, chosen: Ints | None) -> Slots:
        """Fold readings (None: all) into their windows; returns, of each that was no repeat, the window's slot."""
        if chosen is not None and len(chosen) == 0:
            return chosen
        slot = placed.slot if chosen is None else placed.slot[chosen]
        rows = placed.rows if chosen is None else chosen if placed.rows is None else placed.rows[chosen]
        event_us, offsets = arrived.event_us, arrived.offsets
        sequence, _, valid = arrived.column("sequence")
        if rows is not None:
            event_us, offsets, sequence = event_us[rows], offsets[rows], sequence[rows]
            valid = None if valid is None else valid[rows]
        known = None if valid is None else np.flatnonzero(valid)
        fresh = self._repeats.pick(slot, event_us, sequence, known, are_new=arrived.are_new)
        if fresh is not None:
            slot, event_us, offsets = slot[fresh], event_us[fresh], offsets[fresh]
            rows = fresh if rows is None else rows[fresh]
        table = self._table
        self._folding.add(arrived.column, rows, slot, table.serial[slot], event_us, offsets)
        np.minimum.at(table.first_offset, slot, offsets)
        np.maximum.at(table.last_offset, slot, offsets)
        self._placing.counted(slot, event_us)
        return slot

    # -- closing ------------------------------------------------------------------------------------------------------

    def _close(self) -> pa.Table:
        """Rows of every open window that its machine's clocks have passed; forget those that are settled with that."""
        table = self._table
        slots = table.open
        slots = slots[table.end_us[slots] <= self.watermarks.closed_until()[table.machine[slots]]]
        if len(slots) == 0:
            return self._schema.empty_table()
        rows = self._rows(slots, np.zeros(len(slots), np.int32))
        if self._correction_us == 0:
            self._release(slots)
        else:
            self._keep_correctable(slots, published=1)
        return rows

    def _keep_correctable(self, slots: Slots, published: int) -> None:
        table = self._table
        table.closed[slots] = table.held[slots] = True
        for key, slot in zip(self._groups(slots), slots.tolist(), strict=True):
            self._revisions.hold(key, slot, published)

    def _groups(self, slots: Slots) -> list[MachineWindow]:
        return list(zip(self._table.machine[slots].tolist(), self._table.group[slots].tolist(), strict=True))

    def _correct(self, arrived: Arrived, placed: Placed, chosen: Ints) -> tuple[int, pa.Table]:
        """Fold readings into windows that have closed: how many were no repeats, and the rows published meanwhile."""
        counted = 0
        published = [self._schema.empty_table()]
        table, slot = self._table, placed.slot[chosen]
        ticks = arrived.closed_until[chosen if placed.rows is None else placed.rows[chosen]] // self._placing.tick_us
        rounds = rounds_of(table.machine[slot], table.group[slot], ticks)
        for number in range(int(rounds.max(initial=-1)) + 1):
            of_round = rounds == number
            tick_of = dict(zip(self._groups(slot[of_round]), ticks[of_round].tolist(), strict=True))
            published.append(self._publish(self._revisions.passed(tick_of)))
            slots = self._count(arrived, placed, chosen[of_round])
            counted += len(slots)
            touched = np.unique(slots)
            self._keep_correctable(touched[~table.held[touched]], published=0)
            self._revisions.changed.update({key: tick_of[key] for key in self._groups(touched)})
        return counted, pa.concat_tables(published)

    def _settle(self, silent: Sequence[int]) -> pa.Table:
        """Publish corrections that their machine's clock has passed, and silent machines'; forget what is settled.

        A correction waits until its machine's clock enters another tick, so that one row tells of many readings, and
        when it goes depends on the readings alone.
        """
        if not self._revisions.held:
            return self._schema.empty_table()
        table = self._table
        closed, settled = self.watermarks.closed_until(), self.watermarks.settled_until()
        held = np.flatnonzero(table.held & table.live)
        gone = held[table.end_us[held] <= settled[table.machine[held]]]
        gone_keys = set(self._groups(gone))
        ticks = {key: int(closed[key[0]]) // self._placing.tick_us for key in self._revisions.changed}
        due = set(self._revisions.passed(ticks))
        due |= {key for key in self._revisions.changed if key in gone_keys or key[0] in silent}
        rows = self._publish(sorted(due))
        for key in gone_keys:
            del self._revisions.held[key]
        self._release(gone)
        return rows

    def _publish(self, keys: Sequence[MachineWindow]) -> pa.Table:
        """Rows of all keys of these machines' windows, as the next revision."""
        if not keys:
            return self._schema.empty_table()
        slots, revision = self._revisions.publish(keys)
        return self._rows(slots, revision)

    def _release(self, slots: Slots) -> None:
        if len(slots):
            self._placing.let_go(slots)
            self._table.release(slots)

    def _rows(self, slots: Slots, revision: npt.NDArray[np.int32]) -> pa.Table:
        table = self._table
        columns: dict[str, Any] = {
            **self._keys.named(table.key[slots]),
            "window_start": pa.array(table.start_us[slots], _TIMESTAMP),
            "window_end": pa.array(table.end_us[slots], _TIMESTAMP),
            "topic": pa.repeat(pa.scalar(self.topic), len(slots)),
            "partition": np.full(len(slots), self.partition, np.int32),
            "first_offset": table.first_offset[slots],
            "last_offset": table.last_offset[slots],
            "revision": revision,
            **self._folding.results(slots, self._placing.until_us(slots)),
        }
        rows = pa.table({name: columns[name] for name in self._schema.names}, schema=self._schema)
        machine, *others = self.shape.key
        return rows.sort_by([(name, "ascending") for name in (machine, "window_start", *others)])

    def _tally(
        self, *, accepted: int = 0, late: int = 0, duplicates: int = 0, windows: int = 0, corrections: int = 0
    ) -> None:
        held = self.counters
        self.counters = replace(
            held,
            accepted=held.accepted + accepted,
            late=held.late + late,
            duplicates=held.duplicates + duplicates,
            windows=held.windows + windows,
            corrections=held.corrections + corrections,
        )

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def _stored(self) -> StoredWindows:
        return StoredWindows(
            table=self._table,
            placing=self._placing,
            keys=self._keys,
            revisions=self._revisions,
            parts=[*self._folding.parts, ("repeats", self._repeats)],
        )

    def save(self, next_offset: int, now: datetime, freshness: Minutes | None = None) -> Checkpoint:
        """All that readings from `next_offset` on depend on, and the counters. `now` and `freshness` are shown to
        people only.
        """
        seen = len(self.watermarks.names)
        marks = self.watermarks.newest[:seen] - self.shape.window.allowed_lateness_us
        head = Progress(
            partition=self.partition,
            next_offset=next_offset,
            counters=self.counters,
            watermark_min=from_microseconds(int(marks.min())) if seen else None,
            watermark_max=from_microseconds(int(marks.max())) if seen else None,
            last_commit_at=now,
            machines=seen,
            open_windows=self.open_windows,
            freshness=freshness or {},
        )
        state = State(
            head=head,
            kind=self.shape.window.fingerprint,
            key=self.shape.key,
            windows=self._stored.dump(),
            machines=self.watermarks.dump(),
            keys=self._stored.dump_keys(),
        )
        return Checkpoint(partition=self.partition, next_offset=next_offset, state=pack(state))

    @classmethod
    def restored(cls, shape: WindowShape, topic: str, checkpoint: Checkpoint) -> Aggregator:
        """Go on where `save` was called. Raises InvalidInput if windows are open that the shape cannot go on with."""
        state = unpack(checkpoint.state)
        aggregator = cls(shape, topic, checkpoint.partition)
        aggregator.counters = state.head.counters
        aggregator.watermarks.load(state.machines)
        aggregator._stored.load(state, shape)
        return aggregator
