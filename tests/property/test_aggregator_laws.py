"""The aggregator against a model of thirty lines: any order, repetition and lateness, any cuts and restarts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.aggregates.quantile import RELATIVE_ERROR
from ingestion.aggregator import Aggregator
from ingestion.reading import Reading, to_record_batch
from ingestion.shape import WindowShape
from ingestion.window import TumblingWindow
from tests.effort import examples

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
SIZE = 10
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    readings: list[Reading]
    lateness: int
    cuts: set[int]  # a fold ends before these readings
    restarts: set[int]  # the worker dies and goes on from its state before these
    idle: set[int]  # every machine is declared silent before these


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    value = st.one_of(
        st.floats(min_value=-1e6, max_value=1e6, allow_nan=False),
        st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e150, 1e-300]),
    )
    reading = st.builds(
        lambda m, s, t, v, q, u: Reading(
            machine_id=f"m{m}",
            sensor_id=f"m{m}/s{s}",
            event_time=ORIGIN + timedelta(seconds=t),
            value=v,
            unit=u,
            sequence=q,
        ),
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(0, 60),
        value,
        st.one_of(st.none(), st.integers(0, 2)),
        st.sampled_from([None, "bar", "A"]),
    )
    readings = draw(st.lists(reading, max_size=60))
    places = st.sets(st.integers(0, 60), max_size=8)
    return Plan(
        readings, draw(st.integers(0, 25)), draw(places), draw(places), draw(st.sets(st.integers(0, 60), max_size=2))
    )


class Model:
    """What the stream promises, one reading at a time."""

    def __init__(self, lateness: int) -> None:
        self.lateness = timedelta(seconds=lateness)
        self.newest: dict[str, datetime] = {}
        self.floor: dict[str, datetime] = {}
        self.open: dict[tuple[str, str, datetime], list[tuple[int, Reading]]] = {}
        self.closed: dict[tuple[str, str, datetime], list[tuple[int, Reading]]] = {}
        self.late: list[int] = []
        self.duplicates = 0

    def closed_until(self, machine: str) -> datetime:
        never = datetime(1, 1, 1, tzinfo=UTC)
        mark = self.newest[machine] - self.lateness if machine in self.newest else never
        return max(mark, self.floor.get(machine, never))

    def fold(self, offset: int, reading: Reading) -> None:
        machine = reading.machine_id
        self.newest[machine] = max(self.newest.get(machine, reading.event_time), reading.event_time)
        seconds = int((reading.event_time - ORIGIN).total_seconds())
        start = ORIGIN + timedelta(seconds=seconds // SIZE * SIZE)
        if self.closed_until(machine) >= start + timedelta(seconds=SIZE):
            self.late.append(offset)
            return
        window = self.open.setdefault((machine, reading.sensor_id, start), [])
        mark = (reading.event_time, reading.sequence)
        if reading.sequence is not None and any((r.event_time, r.sequence) == mark for _, r in window):
            self.duplicates += 1
        else:
            window.append((offset, reading))
        self.close()

    def silence(self) -> None:
        for machine, _, start in self.open:
            self.floor[machine] = max(self.floor.get(machine, start), start + timedelta(seconds=SIZE))
        self.close()

    def close(self) -> None:
        for key in [k for k in self.open if self.closed_until(k[0]) >= k[2] + timedelta(seconds=SIZE)]:
            self.closed[key] = self.open.pop(key)


def model_row(window: list[tuple[int, Reading]]) -> dict[str, Any]:
    values = [reading.value for _, reading in window]
    total = deviation = squares = 0.0
    for value in values:
        total += value
        deviation += value - values[0]
        squares += (value - values[0]) * (value - values[0])
    n = len(values)
    newest = max(reading.event_time for _, reading in window)
    units = [reading.unit for _, reading in window if reading.unit]
    return {
        "unit": units[-1] if units else None,
        "count": n,
        "mean": total / n,
        "min": min(values),
        "max": max(values),
        "stddev": math.sqrt(max(squares - deviation * deviation / n, 0.0) / (n - 1)) if n > 1 else None,
        "last": [reading.value for _, reading in window if reading.event_time == newest][-1],
        "first_offset": window[0][0],
        "last_offset": window[-1][0],
    }


def run(plan: Plan) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Aggregator]:
    spec = TumblingWindow(size=timedelta(seconds=SIZE), allowed_lateness=timedelta(seconds=plan.lateness))
    aggregator = Aggregator(WindowShape(window=spec), "topic", 0)
    windows: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    borders = sorted(
        {0, len(plan.readings), *(p for p in plan.cuts | plan.restarts | plan.idle if p < len(plan.readings))}
    )
    for begin, end in zip(borders, [*borders[1:], len(plan.readings)], strict=True):
        if begin in plan.idle and begin < len(plan.readings):
            windows += aggregator.close_idle(aggregator.machines_with_open_windows()).to_pylist()
        if begin in plan.restarts:
            aggregator = Aggregator.restored(WindowShape(window=spec), "topic", aggregator.save(begin, NOW))
        folded = aggregator.fold(to_record_batch(plan.readings[begin:end]), np.arange(begin, end))
        windows += folded.windows.to_pylist()
        late += folded.late.to_pylist()
    key = lambda row: (row["machine_id"], row["sensor_id"], row["window_start"])  # noqa: E731
    return sorted(windows, key=key), late, aggregator


@settings(max_examples=examples(200), deadline=None)
@given(plans())
def test_rows_equal_the_model(plan: Plan) -> None:
    model = Model(plan.lateness)
    for offset, reading in enumerate(plan.readings):
        if offset in plan.idle:
            model.silence()
        model.fold(offset, reading)
    windows, late, aggregator = run(plan)

    assert [(r["machine_id"], r["sensor_id"], r["window_start"]) for r in windows] == sorted(model.closed)
    for row in windows:
        held = model.closed[row["machine_id"], row["sensor_id"], row["window_start"]]
        expected = model_row(held)
        assert {name: row[name] for name in expected} == expected
        values = sorted(reading.value for _, reading in held)
        for name, quantile in (("median", 0.5), ("p95", 0.95)):
            exact = values[max(math.ceil(quantile * len(values)), 1) - 1]
            assert abs(row[name] - exact) <= RELATIVE_ERROR * abs(exact) + 1e-307
    assert [row["offset"] for row in late] == model.late
    assert aggregator.counters.duplicates == model.duplicates
    assert aggregator.counters.late == len(model.late)
    assert aggregator.counters.windows == len(windows)
    assert aggregator.counters.accepted == len(plan.readings) - len(model.late) - model.duplicates
    assert aggregator.open_windows == len(model.open)


@settings(max_examples=examples(200), deadline=None)
@given(plans())
def test_cuts_and_restarts_change_nothing(plan: Plan) -> None:
    whole = Plan(plan.readings, plan.lateness, set(), set(), plan.idle)
    cut, undisturbed = run(plan), run(whole)
    assert cut[:2] == undisturbed[:2]
    assert cut[2].counters == undisturbed[2].counters
    # what is still open continues alike, too: flush both by silence
    for aggregator in (cut[2], undisturbed[2]):
        aggregator.close_idle(aggregator.machines_with_open_windows())
    assert cut[2].counters == undisturbed[2].counters


def test_the_model_is_not_the_code() -> None:
    """The comparison can fail: a lateness of another length gives other rows."""
    readings = [
        Reading(machine_id="m", sensor_id="m/s", event_time=ORIGIN + timedelta(seconds=t), value=1.0)
        for t in (5, 16, 6, 40)
    ]
    strict = run(Plan(readings, 0, set(), set(), set()))
    lenient = run(Plan(readings, 10, set(), set(), set()))
    assert len(strict[1]) == 1
    assert len(lenient[1]) == 0
    assert strict[0] != lenient[0]


def test_rows_follow_the_schema() -> None:
    readings = [Reading(machine_id="m", sensor_id="m/s", event_time=ORIGIN, value=2.5, unit="bar")]
    aggregator = Aggregator(WindowShape(window=TumblingWindow(size=timedelta(seconds=SIZE))), "topic", 3)
    aggregator.fold(to_record_batch(readings), np.array([7]))
    table = aggregator.close_idle(["m"])
    assert isinstance(table, pa.Table)
    assert table.to_pylist() == [
        {
            "machine_id": "m",
            "sensor_id": "m/s",
            "window_start": ORIGIN,
            "window_end": ORIGIN + timedelta(seconds=SIZE),
            "unit": "bar",
            "count": 1,
            "mean": 2.5,
            "min": 2.5,
            "max": 2.5,
            "stddev": None,
            "last": 2.5,
            "median": 2.5,
            "p95": 2.5,
            "topic": "topic",
            "partition": 3,
            "first_offset": 7,
            "last_offset": 7,
            "revision": 0,
        }
    ]
