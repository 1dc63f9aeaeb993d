"""Every kind of window and every aggregate against a plain model: any order, repetition, lateness and cuts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.aggregates.functions import FUNCTIONS
from ingestion.aggregates.quantile import RELATIVE_ERROR
from ingestion.aggregates.spec import READING_COLUMNS, AggregateSpec
from ingestion.aggregator import Aggregator
from ingestion.shape import WindowShape
from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window
from tests.effort import examples
from tests.property.window_model import Model, Row, aggregate

ORIGIN = datetime.fromtimestamp(27720 * 64000, UTC)  # in 2026; all lengths of windows up to 12 s begin here
NOW = datetime(2026, 11, 1, tzinfo=UTC)
KINDS = ("tumbling", "hopping", "session", "bounded session")
COLUMNS = {**READING_COLUMNS, "ambient": pa.float64(), "cycles": pa.int64(), "mode": pa.string(), "on": pa.bool_()}
BATCH = pa.schema(
    {
        "machine_id": pa.string(), "sensor_id": pa.string(), "event_time": pa.timestamp("us", tz="UTC"),
        "sequence": pa.int64(), "site": pa.string(), **COLUMNS,
    }
)  # fmt: skip
NUMBERS = {"rate": {"per": "5s"}, "quantile": {"q": 0.3}}
SPECS = [
    AggregateSpec(column=f"{name}_{of}", function=name, of=of, parameters=NUMBERS.get(name, {}))
    for name, function in FUNCTIONS.items()
    for of, kind in COLUMNS.items()
    if kind in function.takes
]


@dataclass(frozen=True)
class Plan:
    window: Window
    key: tuple[str, ...]
    specs: list[AggregateSpec]
    readings: list[Row]
    cuts: set[int]  # a fold ends before these readings
    restarts: set[int]  # the worker dies and goes on from its state before these
    idle: set[int]  # every machine is declared silent before these

    @property
    def shape(self) -> WindowShape:
        return WindowShape(window=self.window, key=self.key, aggregates=self.specs, columns=COLUMNS)


def seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


@st.composite
def windows(draw: st.DrawFn, kind: str) -> Window:
    lateness = seconds(draw(st.integers(0, 25)))
    correction = seconds(draw(st.sampled_from([0, 0, 1, 7, 30])))
    late: dict[str, timedelta] = {"allowed_lateness": lateness, "correction_lateness": correction}
    if kind == "tumbling":
        return TumblingWindow(size=seconds(draw(st.integers(1, 12))), **late)
    if kind == "hopping":
        every = draw(st.integers(1, 8))
        return HoppingWindow(size=seconds(every * draw(st.integers(1, 5))), every=seconds(every), **late)
    gap = draw(st.integers(1, 10))
    longest = seconds(gap + draw(st.integers(0, 10))) if kind == "bounded session" else None
    return SessionWindow(gap=seconds(gap), max_size=longest, **late)


@st.composite
def plans(draw: st.DrawFn, kind: str) -> Plan:
    number = st.integers(-500, 500).map(float)
    reading = st.fixed_dictionaries(
        {
            "machine_id": st.sampled_from(["m0", "m0", "m0", "m1"]),
            "sensor_id": st.sampled_from(["s0", "s1"]),
            "site": st.sampled_from([None, "", "north"]),
            "t": st.integers(0, 45),
            "sequence": st.one_of(st.none(), st.integers(0, 2)),
            "value": number,
            "ambient": st.one_of(st.none(), number, st.just(float("nan"))),
            "cycles": st.one_of(st.none(), st.integers(-500, 500)),
            "mode": st.sampled_from([None, "", "auto", "hand"]),
            "on": st.sampled_from([None, False, True]),
            "unit": st.sampled_from([None, "bar"]),
        }
    )
    readings: list[Row] = draw(st.lists(reading, max_size=40))
    for place in draw(st.lists(st.integers(0, 40), max_size=6 if readings else 0)):
        readings.append(dict(readings[place % len(readings)]))  # sent again
    if draw(st.booleans()):
        # nearly in order, as sensors send
        readings.sort(key=lambda row: row["t"] + 6 * (row["sequence"] or 0))
    keys = [("machine_id", "sensor_id"), ("machine_id",), ("machine_id", "site", "sensor_id"), ("machine_id", "site")]
    places = st.sets(st.integers(0, 40), max_size=8)
    idle = draw(st.sets(st.integers(0, 40), max_size=2))
    specs = draw(st.lists(st.sampled_from(SPECS), min_size=1, max_size=8, unique_by=lambda spec: spec.column))
    return Plan(draw(windows(kind)), draw(st.sampled_from(keys)), specs, readings, draw(places), draw(places), idle)


def batch_of(readings: list[Row]) -> pa.RecordBatch:
    rows = [{**row, "event_time": ORIGIN + seconds(row["t"])} for row in readings]
    return pa.RecordBatch.from_pylist(rows, schema=BATCH)


@dataclass(frozen=True)
class Outcome:
    rows: list[Row]
    late: list[Row]
    aggregator: Aggregator


def run(plan: Plan) -> Outcome:
    aggregator = Aggregator(plan.shape, "topic", 0)
    rows: list[Row] = []
    late: list[Row] = []
    count = len(plan.readings)
    borders = sorted({0, count, *(place for place in plan.cuts | plan.restarts | plan.idle if place < count)})
    for begin, end in zip(borders, [*borders[1:], count], strict=True):
        if begin in plan.idle and begin < count:
            rows += aggregator.close_idle(aggregator.machines_with_open_windows()).to_pylist()
        if begin in plan.restarts:
            aggregator = Aggregator.restored(plan.shape, "topic", aggregator.save(begin, NOW))
        folded = aggregator.fold(batch_of(plan.readings[begin:end]), np.arange(begin, end))
        assert folded.windows.schema == plan.shape.schema
        assert folded.late.schema == plan.shape.late_schema
        rows += folded.windows.to_pylist()
        late += folded.late.to_pylist()
    rows += aggregator.close_idle(aggregator.machines_with_open_windows()).to_pylist()
    assert not aggregator.is_waiting
    rows.sort(key=lambda row: (*(row[name] for name in plan.key), row["window_start"], row["revision"]))
    return Outcome(rows, late, aggregator)


def expected(model: Model, plan: Plan) -> list[Row]:
    rows: list[Row] = []
    for named, start, end, revision, counted, until in sorted(model.rows, key=lambda row: row[:4]):
        row: Row = dict(zip(plan.key, named, strict=True))
        row |= {"window_start": ORIGIN + seconds(start), "window_end": ORIGIN + seconds(end), "revision": revision}
        row |= {"first_offset": min(o for o, _ in counted), "last_offset": max(o for o, _ in counted)}
        for spec in plan.specs:
            parameter = {"rate": 5.0, "quantile": 0.3}.get(spec.function, 0)
            row[spec.column] = aggregate(spec.function, spec.of, counted, until, parameter)
        rows.append(row)
    return rows


EXACT = ("count", "sum", "mean", "min", "max", "first", "last", "latest")


def same(column: str, found: Any, wanted: Any) -> bool:
    function = column.rsplit("_", 1)[0]
    if wanted is None or not isinstance(wanted, int | float) or function in EXACT:
        return bool(found == wanted)
    near = RELATIVE_ERROR if function in ("median", "p95", "quantile") else 1e-9
    return bool(found == pytest.approx(wanted, rel=near, abs=1e-6))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(300), deadline=None)
@given(data=st.data())
def test_rows_equal_the_model(kind: str, data: st.DataObject) -> None:
    plan = data.draw(plans(kind))
    model = Model(plan.window, plan.key)
    for offset, reading in enumerate(plan.readings):
        if offset in plan.idle:
            model.silence()
        model.fold(offset, reading)
    model.silence()
    outcome = run(plan)
    wanted = expected(model, plan)
    assert len(outcome.rows) == len(wanted)
    for row, want in zip(outcome.rows, wanted, strict=True):
        wrong = {name: (row[name], value) for name, value in want.items() if not same(name, row[name], value)}
        assert not wrong
    late = [(row["offset"], round((row["window_start"] - ORIGIN).total_seconds())) for row in outcome.late]
    assert late == model.late
    counters = outcome.aggregator.counters
    assert (counters.accepted, counters.duplicates) == (model.accepted, model.duplicates)
    assert (counters.late, counters.corrections) == (len(model.late), model.corrections)
    assert counters.windows == len(outcome.rows)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_cuts_and_restarts_change_not_a_bit(kind: str, data: st.DataObject) -> None:
    plan = data.draw(plans(kind))
    # values whose sums depend on the order in which they are added
    plan = replace(plan, readings=[{**row, "value": row["value"] / 7} for row in plan.readings])
    whole, cut = run(replace(plan, cuts=set(), restarts=set())), run(plan)
    assert repr((cut.rows, cut.late)) == repr((whole.rows, whole.late))  # as text, NaN is NaN and -0.0 not 0.0
    assert cut.aggregator.counters == whole.aggregator.counters


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(100), deadline=None)
@given(data=st.data())
def test_every_window_is_named_once_a_revision(kind: str, data: st.DataObject) -> None:
    plan = data.draw(plans(kind))
    rows = run(plan).rows
    names = [(*(row[name] for name in plan.key), row["window_start"], row["revision"]) for row in rows]
    assert len(set(names)) == len(names)
