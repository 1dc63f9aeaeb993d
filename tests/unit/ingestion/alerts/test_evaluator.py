"""What the rules of a stream tell of its windows, in rows and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ingestion.alerts.alert import ALERT_SCHEMA, Alert
from ingestion.alerts.evaluator import AlertedStream, Evaluator
from ingestion.alerts.rules import rules_of
from ingestion.errors import InvalidInput
from ingestion.window import WINDOW_SCHEMA

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def windows(*rows: tuple[str, int, float], partition: int = 0, revision: int | None = 0) -> pa.Table:
    """Rows of (sensor, minute, mean)."""
    return pa.Table.from_pylist(
        [
            {
                "machine_id": sensor.split("/")[0],
                "sensor_id": sensor,
                "window_start": BEGIN + minute * MINUTE,
                "window_end": BEGIN + (minute + 1) * MINUTE,
                "mean": mean,
                "revision": revision,
                "partition": partition,
            }
            for sensor, minute, mean in rows
        ],
        schema=pa.schema(
            [WINDOW_SCHEMA.field(n) for n in WINDOW_SCHEMA.names if n in
             ("machine_id", "sensor_id", "window_start", "window_end", "mean", "revision", "partition")]
        ),
    )  # fmt: skip


def stream(*rules: dict[str, object], correction: timedelta = timedelta(0)) -> AlertedStream:
    return AlertedStream(
        name="windows",
        table="windows",
        key=("machine_id", "sensor_id"),
        rules=rules_of([*rules], WINDOW_SCHEMA),
        correction=correction,
    )


def wall(minute: float) -> int:
    """Wall-clock microseconds, a minute and a half after the event time of the same number."""
    return round((BEGIN + (minute + 1.5) * MINUTE).timestamp() * 1e6)


def said(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(alert.state, alert.message) for alert in alerts]


HOT = {"name": "hot", "threshold": {"column": "mean", "above": 90, "clear": 85}}


def test_a_threshold_fires_once_and_ends_once() -> None:
    evaluator = Evaluator(stream(HOT))
    told = []
    for minute, mean in enumerate([80, 90, 91.25, 95, 88, 85, 91]):
        told += evaluator.take(windows(("p1/temp", minute, mean)), wall(minute))
    assert said(told) == [
        ("firing", "mean of p1/temp is 91.25, above 90"),
        ("resolved", "mean of p1/temp is back at 85"),
        ("firing", "mean of p1/temp is 91, above 90"),
    ]
    first, end, second = told
    assert first.id == end.id != second.id
    assert (first.change, end.change, second.change) == (0, 1, 0)
    row = first.row(7, BEGIN)
    assert pa.Table.from_pylist([row], schema=ALERT_SCHEMA).num_rows == 1
    assert row | {"id": "", "committed_at": None} == {
        "id": "",
        "change": 0,
        "number": 7,
        "stream": "windows",
        "rule": "hot",
        "severity": "warning",
        "state": "firing",
        "cause": "window",
        "machine_id": "p1",
        "sensor_id": "p1/temp",
        "key": '{"machine_id": "p1", "sensor_id": "p1/temp"}',
        "window_start": BEGIN + 2 * MINUTE,
        "window_end": BEGIN + 3 * MINUTE,
        "revision": 0,
        "value": 91.25,
        "bound": 90,
        "message": "mean of p1/temp is 91.25, above 90",
        "raised_at": BEGIN + 3 * MINUTE,
        "committed_at": None,
    }


def test_windows_in_a_row_and_chosen_keys() -> None:
    rule = {
        "name": "low",
        "threshold": {"column": "mean", "below": 5},
        "for": 2,
        "severity": "critical",
        "where": {"sensor_id": "*/flow"},
    }
    evaluator = Evaluator(stream(rule))
    told = []
    for minute, mean in enumerate([1, 6, 1, 2]):
        told += evaluator.take(windows(("p1/flow", minute, mean), ("p1/head", minute, mean)), wall(minute))
    assert said(told) == [("firing", "mean of p1/flow is 2, below 5, for 2 windows in a row")]
    assert told[0].severity == "critical"


def test_a_change_within_a_time() -> None:
    evaluator = Evaluator(stream({"name": "jump", "rate": {"column": "mean", "change": 10, "within": "2m"}}))
    told = []
    # 8 and 8 within two minutes; the same over three is none
    for minute, mean in enumerate([0, 8, 16, 17, 18, 7]):
        told += evaluator.take(windows(("p1/temp", minute, mean)), wall(minute))
    assert said(told) == [
        ("firing", "mean of p1/temp rose by 16 within 2 min, more than 10"),
        ("resolved", "mean of p1/temp no longer changes by more than 10 within 2 min"),
        ("firing", "mean of p1/temp fell by 11 within 2 min, more than 10"),
    ]
    assert [alert.value for alert in told if alert.state == "firing"] == [16, -11]


def test_one_way_of_a_change_only() -> None:
    rule = {"name": "jump", "rate": {"column": "mean", "change": 10, "within": "2m", "direction": "rise"}}
    evaluator = Evaluator(stream(rule))
    assert evaluator.take(windows(("p1/temp", 0, 50), ("p1/temp", 1, 0)), wall(1)) == []
    assert len(evaluator.take(windows(("p1/temp", 2, 20)), wall(2))) == 1


def test_a_correction_begins_moves_and_takes_back() -> None:
    evaluator = Evaluator(stream(HOT, correction=timedelta(minutes=10)))
    assert evaluator.take(windows(("p1/temp", 0, 80), ("p1/temp", 1, 80), ("p1/temp", 2, 80)), wall(2)) == []
    begun = evaluator.take(windows(("p1/temp", 1, 95), revision=1), wall(3))
    assert [(a.state, a.cause, a.revision) for a in begun] == [("firing", "window", 1), ("resolved", "window", 0)]
    again = evaluator.take(windows(("p1/temp", 2, 95), revision=1), wall(4))
    assert said(again) == [("firing", "mean of p1/temp is 95, above 90; a window was corrected")]
    back = evaluator.take(windows(("p1/temp", 1, 80), ("p1/temp", 2, 80), revision=2), wall(5))
    assert said(back) == [("resolved", "mean of p1/temp was never beyond; a window was corrected")]
    assert {alert.id for alert in [*begun, *again, *back]} == {begun[0].id}
    assert [alert.change for alert in [*begun, *again, *back]] == [0, 1, 2, 3]


def test_a_window_beyond_correction_changes_nothing() -> None:
    evaluator = Evaluator(stream(HOT, correction=timedelta(minutes=2)))
    for minute in range(8):
        evaluator.take(windows(("p1/temp", minute, 80)), wall(minute))
    assert evaluator.take(windows(("p1/temp", 0, 95), revision=1), wall(8)) == []


def test_what_is_no_number_says_nothing() -> None:
    evaluator = Evaluator(stream(HOT | {"for": 2}))
    told = []
    for minute, mean in enumerate([95, float("nan"), 95]):
        told += evaluator.take(windows(("p1/temp", minute, mean)), wall(minute))
    assert len(told) == 1


MUTE = {"name": "mute", "silence": {"after": "5m"}}


def test_others_tell_of_a_silence() -> None:
    evaluator = Evaluator(stream(MUTE))
    told = evaluator.take(windows(("p1/temp", 0, 1), ("p2/temp", 0, 1), ("p3/temp", 0, 1)), wall(0))
    for minute in range(1, 8):
        told += evaluator.take(windows(("p2/temp", minute, 1), ("p3/temp", minute, 1)), wall(minute))
    assert said(told) == [("firing", "p1/temp has sent nothing since 2026-03-01 12:01:00 UTC, for 5 min")]
    assert told[0].raised_us == round((BEGIN + 6 * MINUTE).timestamp() * 1e6)
    told = evaluator.take(windows(("p1/temp", 9, 1)), wall(9))
    assert said(told) == [("resolved", "p1/temp sends again after 8 min")]
    assert (told[0].value, told[0].bound) == (480, 300)


def test_one_clock_that_runs_ahead_makes_nobody_silent() -> None:
    evaluator = Evaluator(stream(MUTE))
    told = evaluator.take(windows(("p1/temp", 0, 1), ("p2/temp", 0, 1), ("p3/temp", 0, 1)), wall(0))
    told += evaluator.take(windows(("p3/temp", 60, 1)), wall(1))
    # it is silent itself by its own word: between its two windows
    assert {alert.key["machine_id"] for alert in told} == {"p3"}


def test_a_partition_tells_of_its_own_machines_only() -> None:
    evaluator = Evaluator(stream(MUTE))
    told = evaluator.take(windows(("p1/temp", 0, 1)), wall(0))
    for minute in range(20):
        told += evaluator.take(windows(("p2/temp", minute, 1), partition=1), wall(0))
    assert told == []


def test_the_clock_tells_where_all_are_silent() -> None:
    evaluator = Evaluator(stream(MUTE))
    evaluator.take(windows(("p1/temp", 0, 1), ("p2/temp", 0, 1)), wall(0))
    assert evaluator.overdue(wall(4.9)) == set()
    assert evaluator.overdue(wall(5)) == {0}
    told = evaluator.by_clock(wall(5), {0})
    assert said(told)[0] == (
        "firing",
        "p1/temp has sent nothing since 2026-03-01 12:01:00 UTC, for 5 min; nobody else does either",
    )
    assert [(alert.rule, alert.cause) for alert in told] == [("mute", "clock")] * 2
    assert evaluator.overdue(wall(50)) == set()
    restored, ended = Evaluator.restored(evaluator.stream, evaluator.save())
    assert ended == []
    assert restored.overdue(wall(50)) == set()
    assert [alert.state for alert in restored.take(windows(("p1/temp", 9, 1)), wall(9))] == ["resolved"]


@pytest.mark.parametrize("other", [[], [HOT | {"threshold": {"column": "mean", "above": 99}}]])
def test_alerts_of_a_changed_rule_end(other: list[dict[str, object]]) -> None:
    evaluator = Evaluator(stream(HOT, MUTE))
    evaluator.take(windows(("p1/temp", 0, 95), ("p2/temp", 0, 5), ("p3/temp", 9, 5), ("p4/temp", 9, 5)), wall(9))
    made, ended = Evaluator.restored(stream(*other), evaluator.save())
    assert {(a.rule, a.state, a.cause) for a in ended} == {("hot", "resolved", "rule"), ("mute", "resolved", "rule")}
    assert Evaluator.restored(made.stream, made.save())[1] == []


def test_a_rule_with_other_words_goes_on() -> None:
    evaluator = Evaluator(stream(HOT))
    evaluator.take(windows(("p1/temp", 0, 95)), wall(0))
    made, ended = Evaluator.restored(stream(HOT | {"severity": "info", "description": "…"}), evaluator.save())
    assert ended == []
    assert made.take(windows(("p1/temp", 1, 95)), wall(1)) == []
    assert [a.severity for a in made.take(windows(("p1/temp", 2, 5)), wall(2))] == ["info"]


def test_what_sends_nothing_for_a_month_is_forgotten() -> None:
    evaluator = Evaluator(stream(HOT, MUTE))
    evaluator.take(windows(("p1/temp", 0, 95), ("p2/temp", 0, 5), ("p3/temp", 0, 5)), wall(0))
    month = 31 * 24 * 60
    told = evaluator.take(windows(("p2/temp", month, 5), ("p3/temp", month, 5)), wall(month))
    mine = [alert for alert in told if alert.key["machine_id"] == "p1"]
    assert sorted((a.rule, a.state, a.cause) for a in mine) == [
        ("hot", "resolved", "forgotten"),
        ("mute", "firing", "progress"),
        ("mute", "resolved", "forgotten"),
    ]
    assert "p1" not in str(Evaluator.restored(evaluator.stream, evaluator.save())[0]._rules["hot"])


def test_a_state_of_another_format_is_refused() -> None:
    with pytest.raises(InvalidInput, match="this version reads"):
        Evaluator.restored(stream(HOT), b"something else")


def test_rows_from_before_there_were_revisions() -> None:
    assert len(Evaluator(stream(HOT)).take(windows(("p1/temp", 0, 95), revision=None), wall(0))) == 1
