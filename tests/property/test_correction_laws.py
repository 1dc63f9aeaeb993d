"""Late readings correct their windows: the aggregator against a model; any lateness, cuts, restarts and silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.aggregator import Aggregator
from ingestion.checkpoint import Checkpoint, pack, unpack
from ingestion.reading import Reading, to_record_batch
from ingestion.shape import WindowShape
from ingestion.window import TumblingWindow
from tests.effort import examples
from tests.property.test_aggregator_laws import NOW, ORIGIN, SIZE, Plan, model_row, plans

Key = tuple[str, int]
Held = dict[str, list[tuple[int, Reading]]]
NEVER = -(10**9)


class Model:
    """What the stream promises of corrections, one reading at a time; times are seconds since ORIGIN."""

    def __init__(self, lateness: int, correction: int) -> None:
        self.lateness, self.correction = lateness, correction
        self.clock: dict[str, int] = {}
        self.windows: dict[Key, Held] = {}  # a machine's window: the counted readings of each of its sensors
        self.revision: dict[Key, int] = {}  # of the closed ones: what comes next
        self.changed: dict[Key, int] = {}  # of the closed ones: the tick of their last correction
        self.rows: list[dict[str, Any]] = []
        self.late: list[int] = []
        self.duplicates = self.corrections = 0

    def fold(self, offset: int, reading: Reading) -> None:
        seconds = int((reading.event_time - ORIGIN).total_seconds())
        machine, start = reading.machine_id, seconds // SIZE * SIZE
        was = self.clock.get(machine, NEVER)
        now = self.clock[machine] = max(was, seconds - self.lateness)
        if now // SIZE > was // SIZE:
            self.publish(machine)
        if now >= start + SIZE + self.correction and now >= start + SIZE:
            self.late.append(offset)
        else:
            held = self.windows.setdefault((machine, start), {}).setdefault(reading.sensor_id, [])
            mark = (reading.event_time, reading.sequence)
            if reading.sequence is not None and any((r.event_time, r.sequence) == mark for _, r in held):
                self.duplicates += 1
            else:
                held.append((offset, reading))
                if now >= start + SIZE:
                    self.corrections += 1
                    self.changed[machine, start] = now // SIZE
        self.close()

    def silence(self) -> None:
        for machine, start in self.windows:
            if (machine, start) not in self.revision:
                self.clock[machine] = max(self.clock[machine], start + SIZE)
        self.close()
        for machine in self.clock:
            self.publish(machine)

    def close(self) -> None:
        for key in self.windows:
            if key not in self.revision and key not in self.changed and self.clock[key[0]] >= key[1] + SIZE:
                self.emit(key)

    def publish(self, machine: str) -> None:
        for key in [key for key in self.changed if key[0] == machine]:
            del self.changed[key]
            self.emit(key)

    def emit(self, key: Key) -> None:
        number = self.revision[key] = self.revision.get(key, -1) + 1
        for sensor, held in self.windows[key].items():
            identity = {"sensor_id": sensor, "window_start": ORIGIN + timedelta(seconds=key[1]), "revision": number}
            self.rows.append(identity | model_row(held))


@dataclass(frozen=True)
class Corrected:
    rows: list[dict[str, Any]]
    late: list[int]
    aggregator: Aggregator


def run(plan: Plan, correction: int) -> Corrected:
    spec = TumblingWindow(
        size=timedelta(seconds=SIZE),
        allowed_lateness=timedelta(seconds=plan.lateness),
        correction_lateness=timedelta(seconds=correction),
    )
    aggregator = Aggregator(WindowShape(window=spec), "topic", 0)
    rows: list[dict[str, Any]] = []
    late: list[int] = []
    for begin, end in pieces(plan):
        if begin in plan.idle and begin < len(plan.readings):
            rows += aggregator.close_idle(aggregator.machines_with_open_windows()).to_pylist()
        if begin in plan.restarts:
            aggregator = Aggregator.restored(WindowShape(window=spec), "topic", aggregator.save(begin, NOW))
        folded = aggregator.fold(to_record_batch(plan.readings[begin:end]), np.arange(begin, end))
        rows += folded.windows.to_pylist()
        late += folded.late["offset"].to_pylist()
    rows += aggregator.close_idle(aggregator.machines_with_open_windows()).to_pylist()
    assert not aggregator.is_waiting
    return Corrected(in_order(rows), late, aggregator)


def pieces(plan: Plan) -> Iterator[tuple[int, int]]:
    count = len(plan.readings)
    borders = sorted({0, count, *(place for place in plan.cuts | plan.restarts | plan.idle if place < count)})
    return zip(borders, [*borders[1:], count], strict=True)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["sensor_id"], row["window_start"], row["revision"]))


@settings(max_examples=examples(300), deadline=None)
@given(plans(), st.integers(0, 45))
def test_revisions_equal_the_model(plan: Plan, correction: int) -> None:
    model = Model(plan.lateness, correction)
    for offset, reading in enumerate(plan.readings):
        if offset in plan.idle:
            model.silence()
        model.fold(offset, reading)
    model.silence()
    got = run(plan, correction)
    expected = in_order(model.rows)
    assert [{name: row[name] for name in expected[0]} for row in got.rows] == expected
    assert got.late == model.late
    counters = got.aggregator.counters
    assert (counters.duplicates, counters.corrections) == (model.duplicates, model.corrections)
    assert counters.accepted == len(plan.readings) - len(model.late) - model.duplicates
    assert counters.windows == len(got.rows)


@settings(max_examples=examples(200), deadline=None)
@given(plans(), st.integers(0, 45))
def test_cuts_and_restarts_give_the_same_revisions(plan: Plan, correction: int) -> None:
    whole = run(Plan(plan.readings, plan.lateness, set(), set(), plan.idle), correction)
    cut = run(plan, correction)
    assert (cut.rows, cut.late) == (whole.rows, whole.late)
    assert cut.aggregator.counters == whole.aggregator.counters


@settings(max_examples=examples(100), deadline=None)
@given(plans())
def test_a_window_is_held_no_longer_than_it_can_be_corrected(plan: Plan) -> None:
    correction = 20
    aggregator = run(plan, correction).aggregator
    clocks = aggregator.watermarks.closed_until()
    for machine, start_us in aggregator._revisions.held:
        assert start_us + (SIZE + correction) * 1_000_000 > clocks[machine]


def at(seconds: int, sensor: str = "m/s", value: float = 1.0, sequence: int | None = None) -> Reading:
    moment = ORIGIN + timedelta(seconds=seconds)
    return Reading(machine_id="m", sensor_id=sensor, event_time=moment, value=value, sequence=sequence)


def rows_of(readings: list[Reading], correction: int) -> list[tuple[Any, ...]]:
    rows = run(Plan(readings, 0, set(), set(), set()), correction).rows
    return [(row["sensor_id"], row["window_start"].second, row["revision"], row["count"]) for row in rows]


def test_the_rows_of_a_machines_window_go_together() -> None:
    readings = [at(1), at(2, "m/t"), at(12), at(3, "m/t"), at(4, "m/t"), at(25)]
    assert rows_of(readings, 30) == [
        ("m/s", 0, 0, 1), ("m/s", 0, 1, 1), ("m/s", 10, 0, 1), ("m/s", 20, 0, 1),
        ("m/t", 0, 0, 1), ("m/t", 0, 1, 3),
    ]  # fmt: skip
    assert [row for row in rows_of(readings, 0) if row[2]] == []


def test_a_window_that_nobody_saw_begins_with_revision_0() -> None:
    assert rows_of([at(35), at(3), at(45)], 60)[0] == ("m/s", 0, 0, 1)


def test_a_repeat_corrects_nothing() -> None:
    assert rows_of([at(1, sequence=7), at(12), at(1, sequence=7), at(25)], 60)[:2] == [
        ("m/s", 0, 0, 1),
        ("m/s", 10, 0, 1),
    ]


@pytest.mark.parametrize("after", [0, 5, 600])
def test_another_correction_lateness_after_a_restart_repeats_no_row(after: int) -> None:
    """What was settled stays so, and what was held is let go."""
    before = TumblingWindow(size=timedelta(seconds=SIZE), correction_lateness=timedelta(seconds=20))
    aggregator = Aggregator(WindowShape(window=before), "topic", 0)
    readings = [at(1), at(12), at(35)]  # the clock stands at 35: the first window is settled, the second is not
    rows = aggregator.fold(to_record_batch(readings), np.arange(3)).windows.to_pylist()
    state = aggregator.save(3, datetime(2026, 11, 1, tzinfo=UTC))
    later = TumblingWindow(size=timedelta(seconds=SIZE), correction_lateness=timedelta(seconds=after))
    aggregator = Aggregator.restored(WindowShape(window=later), "topic", state)
    folded = aggregator.fold(to_record_batch([at(2), at(13), at(200)]), np.arange(3, 6))
    rows += folded.windows.to_pylist()
    late = folded.late["offset"].to_pylist()
    assert late == ([3, 4] if after < 20 else [3])
    identities = [(row["window_start"], row["revision"]) for row in rows]
    assert len(set(identities)) == len(identities)
    assert max(row["revision"] for row in rows) == (0 if after < 20 else 1)


def test_another_allowed_lateness_after_a_restart_opens_no_window_again() -> None:
    aggregator = Aggregator(WindowShape(window=TumblingWindow(size=timedelta(seconds=SIZE))), "topic", 0)
    aggregator.fold(to_record_batch([at(1), at(12)]), np.arange(2))
    patient = TumblingWindow(size=timedelta(seconds=SIZE), allowed_lateness=timedelta(seconds=60))
    aggregator = Aggregator.restored(WindowShape(window=patient), "topic", aggregator.save(2, NOW))
    folded = aggregator.fold(to_record_batch([at(2)]), np.arange(2, 3))
    assert folded.late["offset"].to_pylist() == [2]


def test_a_state_from_before_there_were_corrections_goes_on_with_what_had_closed_settled() -> None:
    plain = TumblingWindow(size=timedelta(seconds=SIZE))
    aggregator = Aggregator(WindowShape(window=plain), "topic", 0)
    aggregator.fold(to_record_batch([at(1), at(12)]), np.arange(2))
    state = unpack(aggregator.save(2, NOW).state)
    older = replace(
        state,
        windows=state.windows.drop_columns(["closed", "published", "changed"]),
        machines=state.machines.drop_columns(["closed_us", "settled_us"]),
    )
    checkpoint = Checkpoint(partition=0, next_offset=2, state=pack(older))
    shape = WindowShape(window=replace(plain, correction_lateness=timedelta(seconds=60)))
    aggregator = Aggregator.restored(shape, "topic", checkpoint)
    folded = aggregator.fold(to_record_batch([at(2), at(13), at(25), at(14), at(31)]), np.arange(2, 7))
    assert folded.late["offset"].to_pylist() == [2]
    assert [(row["window_start"].second, row["revision"], row["count"]) for row in folded.windows.to_pylist()] == [
        (10, 0, 2),
        (20, 0, 1),
        (10, 1, 3),
    ]
