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

from ingestion import aggregates
from ingestion.aggregates.slots import Arrivals, Slots, WindowState
from ingestion.arrived import Arrived
from ingestion.checkpoint import Checkpoint, Counters, Progress, State, from_microseconds, pack, unpack
from ingestion.errors import InvalidInput
from ingestion.grouping import distinct
from ingestion.repeats import Repeats
from ingestion.revisions import MachineWindow, Revisions, rounds_of
from ingestion.shape import WindowShape
from ingestion.watermark import Watermarks
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA, TumblingWindow

Ints = npt.NDArray[np.int64]
_TIMESTAMP = pa.timestamp("us", tz="UTC")
_PREFIXES = (*aggregates.AGGREGATES, "repeats")


@dataclass(frozen=True, kw_only=True, slots=True)
class Folded:
    """What a fold brought: rows of closed or corrected windows (WINDOW_SCHEMA), and late readings (LATE_SCHEMA)."""

    windows: pa.Table
    late: pa.Table


class Aggregator:
    """Folds one partition's readings, which have to come in the order of their offsets."""

    def __init__(self, shape: WindowShape, topic: str, partition: int) -> None:
        if not isinstance(shape.window, TumblingWindow) or shape.schema != WINDOW_SCHEMA:
            raise NotImplementedError("only the built-in shape is folded yet")
        self.shape = shape
        self.spec = spec = shape.window
        self.topic = topic
        self.partition = partition
        self.counters = Counters()
        self.watermarks = Watermarks(spec.allowed_lateness_us, spec.correction_lateness_us)
        self._revisions = Revisions()
        self._aggregates = [aggregates.create(name) for name in aggregates.AGGREGATES]
        self._repeats = Repeats()
        self._parts: tuple[WindowState, ...] = (*self._aggregates, self._repeats)
        self._sensors: dict[tuple[int, str], int] = {}
        self._sensor_names: list[tuple[int, str]] = []
        self._units: dict[str, int] = {}
        self._unit_names: list[str] = []
        self._slot_of: dict[tuple[int, int], int] = {}
        self._free: list[int] = []
        self._next_serial = 0
        self._live = np.zeros(0, bool)
        self._closed = np.zeros(0, bool)
        self._machine: Ints = np.zeros(0, np.int64)
        self._sensor: Ints = np.zeros(0, np.int64)
        self._window: Ints = np.zeros(0, np.int64)
        self._first_offset: Ints = np.zeros(0, np.int64)
        self._last_offset: Ints = np.zeros(0, np.int64)
        self._unit: Ints = np.zeros(0, np.int64)

    @property
    def open_windows(self) -> int:
        return int(np.count_nonzero(self._live & ~self._closed))

    @property
    def is_waiting(self) -> bool:
        """Whether there are windows that only later readings, or silence, will close or publish."""
        return len(self._revisions.changed) > 0 or self.open_windows > 0

    def fold(self, readings: pa.RecordBatch, offsets: Ints) -> Folded:
        """Fold good readings (READING_SCHEMA's columns, nulls in `unit` and `sequence` only), in offset order."""
        if readings.num_rows == 0:
            return Folded(windows=WINDOW_SCHEMA.empty_table(), late=LATE_SCHEMA.empty_table())
        machine, sensor = self._identify(readings)
        event_us = _integers(readings.column("event_time").cast(pa.int64()))
        window = event_us // self.spec.size_us
        closed_until = self.watermarks.advance(machine, event_us)
        arrived = Arrived(readings, machine, sensor, event_us, window, offsets, closed_until)
        ends = (window + 1) * self.spec.size_us
        is_closed = closed_until >= ends
        if not is_closed.any():
            counted = len(self._count(arrived))
            windows = pa.concat_tables([self._close(), self._settle(())])
            self._tally(accepted=counted, duplicates=len(ends) - counted, windows=windows.num_rows)
            return Folded(windows=windows, late=LATE_SCHEMA.empty_table())
        is_late = is_closed & (self.watermarks.settled_at(machine, closed_until) >= ends)
        late = arrived.at(is_late).as_late(self.topic, self.partition, self.spec.size_us)
        in_time = arrived.at(~is_closed)
        counted = len(self._count(in_time)) if len(in_time.window) else 0
        # a reading that finds its window closed comes after all those that did not
        windows = self._close()
        corrections, revised = self._correct(arrived.at(is_closed & ~is_late))
        windows = pa.concat_tables([windows, revised, self._settle(())])
        counted += corrections
        self._tally(
            accepted=counted,
            late=late.num_rows,
            duplicates=len(ends) - late.num_rows - counted,
            windows=windows.num_rows,
            corrections=corrections,
        )
        return Folded(windows=windows, late=late)

    def refuse(self, refused: Mapping[str, int]) -> None:
        """Count readings that went to the dead-letter topic, by reason."""
        reasons = dict(self.counters.dead_letters)
        for reason, count in refused.items():
            reasons[reason] = reasons.get(reason, 0) + count
        self.counters = replace(self.counters, dead_letters=reasons)

    def machines_with_open_windows(self) -> list[str]:
        """Those with windows that are open, or corrected and not yet published."""
        of_open = np.unique(self._machine[self._live & ~self._closed]).tolist()
        of_changed = {machine for machine, _ in self._revisions.changed}
        return [self.watermarks.names[code] for code in sorted(of_changed.union(of_open))]

    def close_idle(self, machines: Sequence[str]) -> pa.Table:
        """Close all open windows of the named machines, and publish what was corrected of them."""
        codes = self.watermarks.codes_of(list(machines))
        slots = np.flatnonzero(self._live & ~self._closed & np.isin(self._machine, codes))
        self.watermarks.raise_floor(self._machine[slots], (self._window[slots] + 1) * self.spec.size_us)
        windows = pa.concat_tables([self._close(), self._settle(codes.tolist())])
        self._tally(windows=windows.num_rows)
        return windows

    # -- folding ------------------------------------------------------------------------------------------------------

    def _identify(self, readings: pa.RecordBatch) -> tuple[Ints, Ints]:
        """Numbers of each reading's machine and sensor."""
        machines = readings.column("machine_id").dictionary_encode()
        sensors = readings.column("sensor_id").dictionary_encode()
        machine = self.watermarks.codes_of(machines.dictionary.to_pylist())[_integers(machines.indices)]
        pair = machine * len(sensors.dictionary) + _integers(sensors.indices)
        pairs, place = distinct(pair)
        names = sensors.dictionary.to_pylist()
        codes = np.empty(len(pairs), np.int64)
        for index, (of_machine, of_sensor) in enumerate(zip(*np.divmod(pairs, len(names)), strict=True)):
            codes[index] = self._sensor_code(int(of_machine), names[of_sensor])
        return machine, codes[place]

    def _sensor_code(self, machine: int, name: str) -> int:
        code = self._sensors.get((machine, name))
        if code is None:
            code = self._sensors[machine, name] = len(self._sensor_names)
            self._sensor_names.append((machine, name))
        return code

    def _count(self, arrived: Arrived) -> Slots:
        """Fold readings into their windows; returns, of each that was no repeat, the window's slot."""
        readings, machine, sensor, event_us, window, offsets, _ = arrived
        local, slots = self._slots(machine, sensor, window)
        slot = slots[local]
        sequence = readings.column("sequence")
        known = np.flatnonzero(_mask(sequence.is_valid()))
        fresh = self._repeats.pick(slot, local, slots, event_us, _integers(sequence.fill_null(0)), known)
        value = np.ascontiguousarray(readings.column("value").to_numpy(zero_copy_only=False))
        self._note_units(readings.column("unit"), slot, fresh)
        if fresh is not None:
            slot, value, event_us, offsets = (array[fresh] for array in (slot, value, event_us, offsets))
        arrivals = Arrivals(slot=slot, serial=self._repeats.serials_of(slot), value=value, event_us=event_us)
        for aggregate in self._aggregates:
            aggregate.add(arrivals)
        np.minimum.at(self._first_offset, slot, offsets)
        np.maximum.at(self._last_offset, slot, offsets)
        return slot

    def _slots(self, machine: Ints, sensor: Ints, window: Ints) -> tuple[Ints, Slots]:
        """Slots of the distinct (sensor, window) pairs, opened where new; for each reading the index of its own."""
        first = int(window.min())
        width = int(window.max()) - first + 1
        if len(self._sensor_names) * width < 2**62:
            cells, local = distinct(sensor * width + (window - first))
            sensors, windows = np.divmod(cells, width)
            windows += first
        else:
            both, local = np.unique(np.stack((sensor, window)), axis=1, return_inverse=True)
            sensors, windows = both
        keys = list(zip(sensors.tolist(), windows.tolist(), strict=True))
        missing = [key for key in keys if key not in self._slot_of]
        if missing:
            self._open(missing)
        return local, np.fromiter((self._slot_of[key] for key in keys), np.int64, len(keys))

    def _open(self, keys: Sequence[tuple[int, int]]) -> Slots:
        short = len(keys) - len(self._free)
        if short > 0:
            self._grow(len(self._live) + max(short, len(self._live), 256))
        slots = np.array([self._free.pop() for _ in keys], np.int64)
        serials = self._next_serial + np.arange(len(keys))
        self._next_serial += len(keys)
        for part in self._parts:
            part.open(slots, serials)
        self._live[slots] = True
        self._closed[slots] = False
        self._sensor[slots] = [sensor for sensor, _ in keys]
        self._machine[slots] = [self._sensor_names[sensor][0] for sensor, _ in keys]
        self._window[slots] = [window for _, window in keys]
        self._first_offset[slots] = np.iinfo(np.int64).max
        self._last_offset[slots] = -1
        self._unit[slots] = -1
        self._slot_of.update(zip(keys, slots.tolist(), strict=True))
        return slots

    def _grow(self, size: int) -> None:
        before = len(self._live)
        self._live = np.concatenate((self._live, np.zeros(size - before, bool)))
        self._closed = np.concatenate((self._closed, np.zeros(size - before, bool)))
        room = np.zeros(size - before, np.int64)
        self._machine, self._sensor, self._window, self._first_offset, self._last_offset, self._unit = (
            np.concatenate((held, room))
            for held in (
                self._machine,
                self._sensor,
                self._window,
                self._first_offset,
                self._last_offset,
                self._unit,
            )
        )
        for part in self._parts:
            part.grow(size)
        self._free.extend(range(size - 1, before - 1, -1))

    def _note_units(self, column: Any, slot: Slots, fresh: Ints | None) -> None:
        """A window's unit is that of its last reading that names one."""
        if column.null_count == len(column):
            return
        coded = column.dictionary_encode()
        for unit in coded.dictionary.to_pylist():
            if unit not in self._units:
                self._units[unit] = len(self._unit_names)
                self._unit_names.append(unit)
        codes = np.array([self._units[unit] for unit in coded.dictionary.to_pylist()], np.int64)
        named = _mask(coded.is_valid())
        if fresh is not None:
            repeats = np.ones(len(slot), bool)
            repeats[fresh] = False
            named &= ~repeats
        unit = codes[_integers(coded.indices.fill_null(0))]
        # of repeated indices numpy keeps the last value
        self._unit[slot[named]] = unit[named]

    # -- closing ------------------------------------------------------------------------------------------------------

    def _close(self) -> pa.Table:
        """Rows of every open window that its machine's clocks have passed; forget those that are settled with that."""
        live = np.flatnonzero(self._live & ~self._closed)
        ends = (self._window[live] + 1) * self.spec.size_us
        slots = live[ends <= self.watermarks.closed_until()[self._machine[live]]]
        if len(slots) == 0:
            return WINDOW_SCHEMA.empty_table()
        rows = self._rows(slots, np.zeros(len(slots), np.int32))
        if self.spec.correction_lateness_us == 0:
            self._release(slots)
        else:
            self._keep_correctable(slots, published=1)
        return rows

    def _keep_correctable(self, slots: Slots, published: int) -> None:
        self._closed[slots] = True
        keys = zip(self._machine[slots].tolist(), self._window[slots].tolist(), strict=True)
        for key, slot in zip(keys, slots.tolist(), strict=True):
            self._revisions.hold(key, slot, published)

    def _correct(self, arrived: Arrived) -> tuple[int, pa.Table]:
        """Fold readings into windows that have closed: how many were no repeats, and the rows published meanwhile."""
        counted = 0
        published = [WINDOW_SCHEMA.empty_table()]
        ticks = arrived.closed_until // self.spec.size_us
        rounds = rounds_of(arrived.machine, arrived.window, ticks)
        for number in range(int(rounds.max(initial=-1)) + 1):
            chosen = rounds == number
            part = arrived.at(chosen)
            keys = zip(part.machine.tolist(), part.window.tolist(), strict=True)
            tick_of = dict(zip(keys, ticks[chosen].tolist(), strict=True))
            published.append(self._publish(self._revisions.passed(tick_of)))
            slots = self._count(part)
            counted += len(slots)
            touched = np.unique(slots)
            self._keep_correctable(touched[~self._closed[touched]], published=0)
            keys = zip(self._machine[touched].tolist(), self._window[touched].tolist(), strict=True)
            self._revisions.changed.update({key: tick_of[key] for key in keys})
        return counted, pa.concat_tables(published)

    def _settle(self, silent: Sequence[int]) -> pa.Table:
        """Publish corrections that their machine's clock has passed, and silent machines'; forget what is settled.

        A correction waits until its machine's clock enters another window, so that one row tells of many readings, and
        when it goes depends on the readings alone.
        """
        if not self._revisions.held:
            return WINDOW_SCHEMA.empty_table()
        closed, settled = self.watermarks.closed_until(), self.watermarks.settled_until()
        held = np.flatnonzero(self._closed & self._live)
        gone = held[(self._window[held] + 1) * self.spec.size_us <= settled[self._machine[held]]]
        gone_keys = set(zip(self._machine[gone].tolist(), self._window[gone].tolist(), strict=True))
        ticks = {key: int(closed[key[0]]) // self.spec.size_us for key in self._revisions.changed}
        due = set(self._revisions.passed(ticks))
        due |= {key for key in self._revisions.changed if key in gone_keys or key[0] in silent}
        rows = self._publish(sorted(due))
        for key in gone_keys:
            del self._revisions.held[key]
        self._release(gone)
        return rows

    def _publish(self, keys: Sequence[MachineWindow]) -> pa.Table:
        """Rows of all sensors of these machines' windows, as the next revision."""
        if not keys:
            return WINDOW_SCHEMA.empty_table()
        slots, revision = self._revisions.publish(keys)
        return self._rows(slots, revision)

    def _release(self, slots: Slots) -> None:
        if len(slots) == 0:
            return
        for part in self._parts:
            part.release(slots)
        self._live[slots] = False
        for key in zip(self._sensor[slots].tolist(), self._window[slots].tolist(), strict=True):
            del self._slot_of[key]
        self._free.extend(slots.tolist())

    def _rows(self, slots: Slots, revision: npt.NDArray[np.int32]) -> pa.Table:
        machines = [self.watermarks.names[code] for code in self._machine[slots]]
        sensors = [self._sensor_names[code][1] for code in self._sensor[slots]]
        starts = self._window[slots] * self.spec.size_us
        columns: dict[str, Any] = {
            "machine_id": machines,
            "sensor_id": sensors,
            "window_start": pa.array(starts, _TIMESTAMP),
            "window_end": pa.array(starts + self.spec.size_us, _TIMESTAMP),
            "unit": pa.array([None if code < 0 else self._unit_names[code] for code in self._unit[slots]], pa.string()),
            "topic": [self.topic] * len(slots),
            "partition": np.full(len(slots), self.partition, np.int32),
            "first_offset": self._first_offset[slots],
            "last_offset": self._last_offset[slots],
            "revision": revision,
        }
        for aggregate in self._aggregates:
            for name, values in aggregate.results(slots).items():
                columns[name] = pa.array(values, from_pandas=True)
        table = pa.table({name: columns[name] for name in WINDOW_SCHEMA.names}, schema=WINDOW_SCHEMA)
        return table.sort_by([(name, "ascending") for name in ("machine_id", "window_start", "sensor_id")])

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

    def save(self, next_offset: int, now: datetime) -> Checkpoint:
        """All that readings from `next_offset` on depend on, and the counters. `now` is shown to people only."""
        seen = len(self.watermarks.names)
        marks = self.watermarks.newest[:seen] - self.spec.allowed_lateness_us
        head = Progress(
            partition=self.partition,
            next_offset=next_offset,
            counters=self.counters,
            watermark_min=from_microseconds(int(marks.min())) if seen else None,
            watermark_max=from_microseconds(int(marks.max())) if seen else None,
            last_commit_at=now,
            machines=seen,
            open_windows=self.open_windows,
        )
        machines = {
            "machine_id": pa.array(self.watermarks.names, pa.string()),
            "newest_us": self.watermarks.newest[:seen],
            "floor_us": self.watermarks.floor[:seen],
            "closed_us": self.watermarks.closed_until()[:seen],
            "settled_us": self.watermarks.settled_until()[:seen],
        }
        state = pack(State(head=head, size_us=self.spec.size_us, windows=self._dump(), machines=pa.table(machines)))
        return Checkpoint(partition=self.partition, next_offset=next_offset, state=state)

    @classmethod
    def restored(cls, shape: WindowShape, topic: str, checkpoint: Checkpoint) -> Aggregator:
        """Go on where `save` was called. Raises InvalidInput if the windows were of another size then."""
        state = unpack(checkpoint.state)
        aggregator = cls(shape, topic, checkpoint.partition)
        spec = aggregator.spec
        if state.size_us != spec.size_us and state.windows.num_rows:
            raise InvalidInput(
                f"windows of {state.size_us / 1e6:g} s are open in partition {checkpoint.partition}, the setting says "
                f"{spec.size_us / 1e6:g} s; set it back, or give the stream another name to begin afresh"
            )
        aggregator.counters = state.head.counters
        codes = aggregator.watermarks.codes_of(state.machines["machine_id"].to_pylist())
        aggregator.watermarks.newest[codes] = state.machines["newest_us"].to_numpy()
        aggregator.watermarks.floor[codes] = state.machines["floor_us"].to_numpy()
        if "closed_us" in state.machines.column_names:
            # with another lateness than then, too, what has closed stays closed, and what is settled settled
            aggregator.watermarks.raise_floor(codes, state.machines["closed_us"].to_numpy())
            aggregator.watermarks.settled[codes] = state.machines["settled_us"].to_numpy()
        else:
            aggregator.watermarks.settled[codes] = aggregator.watermarks.closed_until()[codes]
        if state.windows.num_rows:
            aggregator._load(state.windows)
        return aggregator

    def _dump(self) -> pa.Table:
        """One row per window that is open or can be corrected."""
        slots = np.flatnonzero(self._live)
        keys = list(zip(self._machine[slots].tolist(), self._window[slots].tolist(), strict=True))
        columns: dict[str, Any] = {
            "machine_id": pa.array([self.watermarks.names[code] for code in self._machine[slots]], pa.string()),
            "sensor_id": pa.array([self._sensor_names[code][1] for code in self._sensor[slots]], pa.string()),
            "window": self._window[slots],
            "unit": pa.array([None if code < 0 else self._unit_names[code] for code in self._unit[slots]], pa.string()),
            "first_offset": self._first_offset[slots],
            "last_offset": self._last_offset[slots],
            "closed": self._closed[slots],
            "published": pa.array([self._revisions.published(key) for key in keys], pa.int32()),
            "changed": pa.array([self._revisions.changed.get(key) for key in keys], pa.int64()),
        }
        for part, prefix in zip(self._parts, _PREFIXES, strict=True):
            for name, array in part.dump(slots).items():
                columns[f"{prefix}.{name}"] = array
        return pa.table(columns)

    def _load(self, windows: pa.Table) -> None:
        flat = {name: windows[name].combine_chunks() for name in windows.column_names}
        flat = {n: c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for n, c in flat.items()}
        machines = self.watermarks.codes_of(flat["machine_id"].to_pylist()).tolist()
        identities = zip(machines, flat["sensor_id"].to_pylist(), strict=True)
        sensors = [self._sensor_code(*identity) for identity in identities]
        slots = self._open(list(zip(sensors, flat["window"].to_pylist(), strict=True)))
        self._first_offset[slots] = flat["first_offset"].to_numpy()
        self._last_offset[slots] = flat["last_offset"].to_numpy()
        self._note_units(flat["unit"], slots, None)
        for part, prefix in zip(self._parts, _PREFIXES, strict=True):
            own = {n.removeprefix(f"{prefix}."): c for n, c in flat.items() if n.startswith(f"{prefix}.")}
            part.load(slots, own)
        if "closed" in flat:
            self._load_closed(slots[_mask(flat["closed"])], windows.filter(windows["closed"]))

    def _load_closed(self, slots: Slots, windows: pa.Table) -> None:
        for slot, published, tick in zip(
            slots, windows["published"].to_pylist(), windows["changed"].to_pylist(), strict=True
        ):
            self._keep_correctable(np.array([slot]), published)
            if tick is not None:
                self._revisions.changed[int(self._machine[slot]), int(self._window[slot])] = tick


def _integers(column: Any) -> Ints:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)


def _mask(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)
