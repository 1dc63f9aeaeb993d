"""Alerts against a small model of them: a function of the latest revisions of the windows, however they came."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.alerts.alert import Alert
from ingestion.alerts.evaluator import AlertedStream, Evaluator
from ingestion.alerts.rules import AlertRule, Rate, Silence, Threshold
from tests.effort import examples

SIZE = 10
KEYS = (("a", "a/flow"), ("a", "a/head"), ("b", "b/flow"))


@dataclass(frozen=True)
class Window:
    key: int
    number: int
    revision: int
    value: float | None


def table_of(windows: Sequence[Window]) -> pa.Table:
    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "machine_id": pa.array([KEYS[w.key][0] for w in windows], pa.string()),
            "sensor_id": pa.array([KEYS[w.key][1] for w in windows], pa.string()),
            "window_start": pa.array([w.number * SIZE for w in windows], pa.int64()).cast(moment),
            "window_end": pa.array([(w.number + 1) * SIZE for w in windows], pa.int64()).cast(moment),
            "mean": pa.array([w.value for w in windows], pa.float64()),
            "revision": pa.array([w.revision for w in windows], pa.int32()),
            "partition": pa.array([0] * len(windows), pa.int32()),
        }
    )


def stream_of(*rules: AlertRule, correction: int = 0) -> AlertedStream:
    return AlertedStream(
        name="s",
        table="s",
        key=("machine_id", "sensor_id"),
        rules=rules,
        correction=timedelta(microseconds=correction * SIZE),
    )


def microseconds(number: float) -> timedelta:
    return timedelta(microseconds=number)


# --- the model -----------------------------------------------------------------------------------------------------


def is_beyond(rule: AlertRule, series: list[tuple[int, float]], index: int) -> tuple[bool, bool]:
    """(beyond, clear) of the window at `index` of the key's windows in order."""
    condition, (number, value) = rule.condition, series[index]
    if isinstance(condition, Threshold):
        return condition.broken_bound(value) is not None, condition.is_clear(value)
    assert isinstance(condition, Rate)
    reach = condition.within // timedelta(microseconds=SIZE)
    steps = [value - other for earlier, other in series[:index] if number - earlier <= reach]
    if condition.direction != "any":
        steps = [step for step in steps if (step > 0) == (condition.direction == "rise")]
    beyond = any(abs(step) > condition.change for step in steps)
    return beyond, not beyond


def episodes(rule: AlertRule, latest: dict[int, float]) -> set[tuple[int, int | None]]:
    """(first window, window that ended it or None) of one key."""
    series = sorted(latest.items())
    found, streak, first = [], 0, None
    for index, (number, _) in enumerate(series):
        beyond, clear = is_beyond(rule, series, index)
        streak = streak + 1 if beyond else 0
        if first is None and streak >= rule.for_windows:
            first = number
        elif first is not None and clear:
            found.append((first, number))
            first = None
    return {*found, *([] if first is None else [(first, None)])}


def told(alerts: Sequence[Alert], key: int) -> set[tuple[int, int | None]]:
    """The episodes of a key as the last row of each alert says."""
    last: dict[str, Alert] = {}
    for alert in alerts:
        if tuple(alert.key.values()) == KEYS[key]:
            before = last.get(alert.id)
            assert alert.change == (before.change + 1 if before else 0)
            assert before is None or (alert.state, alert.window_start) != (before.state, before.window_start)
            last[alert.id] = alert
    return {
        (a.first_us // SIZE, None if a.state == "firing" else a.window_start // SIZE)
        for a in last.values()
        # what was taken back ends with the window that it began with
        if not (a.state == "resolved" and a.window_start == a.first_us)
    }


# --- what is tried -------------------------------------------------------------------------------------------------

values = st.one_of(st.none(), st.integers(0, 6).map(float))
thresholds = st.builds(
    lambda low, high, clear: Threshold(
        column="mean", low=low, high=high, clear_low=low + clear if low is not None else None, clear_high=high - clear
    ),
    st.one_of(st.none(), st.just(1.0)),
    st.sampled_from([3.0, 4.0]),
    st.sampled_from([0.0, 1.0]),
)
rates = st.builds(
    Rate,
    column=st.just("mean"),
    change=st.sampled_from([1.0, 2.5]),
    within=st.integers(1, 4).map(lambda windows: microseconds(windows * SIZE)),
    direction=st.sampled_from(["any", "rise", "fall"]),
)
rules = st.builds(AlertRule, name=st.just("r"), condition=st.one_of(thresholds, rates), for_windows=st.integers(1, 3))


@st.composite
def versions(draw: st.DrawFn, reach: int) -> list[list[Window]]:
    """Versions of a table: windows of each key in order, and corrections of those at most `reach` behind the newest."""
    newest = [-1] * len(KEYS)
    revisions: dict[tuple[int, int], int] = {}
    found = []
    for _ in range(draw(st.integers(1, 8))):
        rows: dict[tuple[int, int], Window] = {}
        for _ in range(draw(st.integers(1, 5))):
            key = draw(st.integers(0, len(KEYS) - 1))
            if newest[key] < 0 or not reach or draw(st.booleans()):
                newest[key] += draw(st.integers(1, 3))
                number = newest[key]
            else:
                number = max(newest[key] - draw(st.integers(0, reach)), 0)
            revision = revisions[key, number] = revisions.get((key, number), -1) + 1
            value = draw(values) if not reach else draw(st.integers(0, 6).map(float))
            rows[key, number] = Window(key, number, revision, value)
        found.append(list(rows.values()))
    return found


def evaluated(
    stream: AlertedStream, parts: Sequence[Sequence[Window]], cuts: frozenset[int] = frozenset()
) -> list[Alert]:
    """All that is told; after the versions in `cuts` the evaluator is made anew from its state."""
    evaluator, found = Evaluator(stream), []
    for number, rows in enumerate(parts):
        found += evaluator.take(table_of(rows), number)
        if number in cuts:
            evaluator, ended = Evaluator.restored(stream, evaluator.save())
            assert ended == []
    return found


def latest_of(parts: Sequence[Sequence[Window]], key: int) -> dict[int, float]:
    latest: dict[int, tuple[int, float]] = {}
    for row in (row for part in parts for row in part):
        if row.key == key and row.value is not None and row.revision >= latest.get(row.number, (0, 0))[0]:
            latest[row.number] = (row.revision, row.value)
    return {number: value for number, (_, value) in latest.items()}


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_alerts_are_those_of_the_latest_windows(data: st.DataObject) -> None:
    reach = data.draw(st.sampled_from([0, 0, 2, 5]), "reach")
    rule = data.draw(rules, "rule")
    parts = data.draw(versions(reach), "versions")
    alerts = evaluated(stream_of(rule, correction=reach), parts)
    for key in range(len(KEYS)):
        assert told(alerts, key) == episodes(rule, latest_of(parts, key))


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_a_restart_after_any_version_changes_nothing(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(rules, min_size=1, max_size=2), "rules")
    named = [
        AlertRule(**{f: getattr(r, f) for f in ("condition", "for_windows")}, name=f"r{n}")
        for n, r in enumerate(chosen)
    ]
    silence = AlertRule(name="mute", condition=Silence(after=microseconds(data.draw(st.integers(1, 40)))))
    reach = data.draw(st.sampled_from([0, 3]), "reach")
    parts = data.draw(versions(reach), "versions")
    cuts = data.draw(st.frozensets(st.integers(0, 7)), "cuts")
    stream = stream_of(*named, silence, correction=reach)
    assert evaluated(stream, parts, cuts) == evaluated(stream, parts)


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_every_gap_is_told_as_a_silence_once(data: st.DataObject) -> None:
    after = data.draw(st.integers(1, 25), "after")
    parts = data.draw(versions(0), "versions")
    alerts = evaluated(stream_of(AlertRule(name="mute", condition=Silence(after=microseconds(after)))), parts)
    for key in range(len(KEYS)):
        numbers = sorted({row.number for part in parts for row in part if row.key == key})
        gaps = {
            (before, after_) for before, after_ in itertools.pairwise(numbers) if (after_ - before - 1) * SIZE >= after
        }
        mine = told(alerts, key)
        assert {episode for episode in mine if episode[1] is not None} >= gaps
        # beyond the gaps: where the others were ahead, and the key came after all, or has not come yet
        for first, ended in mine - gaps:
            assert first == numbers[-1] if ended is None else numbers[numbers.index(first) + 1] == ended
