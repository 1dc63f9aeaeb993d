"""The evaluation of a stream as it goes on, on ports in memory: cut at any step, and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion.alerts.evaluator import AlertedStream
from ingestion.alerts.ports import ALERT_STEPS, AlertStep, Row
from ingestion.alerts.runner import COMMIT_SECONDS, AlertRunner
from ingestion.errors import Fenced
from tests.contract.memory_alerts import MemoryAlerts, MemoryAlertTopic, MemoryVersions, Outliving
from tests.unit.ingestion.alerts.test_evaluator import HOT, MUTE, stream, windows


class Cut(Exception):
    """The evaluation dies here."""


class Bench:
    """One stream's table and all that outlives its evaluations; time stands still unless it is moved."""

    def __init__(self, rules: AlertedStream) -> None:
        self.rules = rules
        self.versions = MemoryVersions()
        self.outliving = Outliving()
        self.topic = MemoryAlertTopic(self.outliving)
        self.seconds = 1000.0
        self.quiet: Callable[[], Collection[int]] = lambda: (0,)
        self.cut_at: AlertStep | None = None

    def runner(self) -> AlertRunner:
        return AlertRunner(
            self.rules,
            self.versions,
            MemoryAlerts(self.outliving, self.rules.name),
            self.topic,
            quiet=lambda: self.quiet(),
            now=lambda: datetime.fromtimestamp(self.seconds, UTC),
            monotonic=lambda: self.seconds,
            step=self._stepped,
        )

    def _stepped(self, step: AlertStep) -> None:
        if step == self.cut_at:
            self.cut_at = None
            raise Cut(step)

    def numbers(self) -> tuple[list[int], list[int]]:
        """Of the committed rows, and of the published."""
        return [row["number"] for row in self.outliving.rows], [row["number"] for row in self.outliving.topic]


def timeless(rows: list[Row]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "committed_at"} for row in rows]


def hot_and_cold(minutes: int) -> list[Any]:
    return [windows(("p1/temp", minute, 95.0 if minute % 3 else 80.0)) for minute in range(minutes)]


def test_alerts_are_committed_and_published_once() -> None:
    bench = Bench(stream(HOT))
    runner = bench.runner()
    for version in hot_and_cold(7):
        bench.versions.tables.append(version)
        assert not runner.round()
        runner.round()
    assert bench.numbers() == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert [row["state"] for row in bench.outliving.topic] == ["firing", "resolved"] * 2


def test_windows_from_before_there_were_rules_are_not_judged() -> None:
    bench = Bench(stream(HOT))
    bench.versions.tables = hot_and_cold(5)
    runner = bench.runner()
    assert bench.outliving.kept["windows"].position == 5
    bench.versions.tables += hot_and_cold(9)[5:]
    runner.round()
    assert len(bench.outliving.rows) == 3


@pytest.mark.parametrize(
    "step", [s for s in ALERT_STEPS if s not in ("state on disk", "part on disk", "entry written", "sent")]
)
@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_cut_anywhere_changes_nothing(step: AlertStep, after: int) -> None:
    calm = Bench(stream(HOT))
    calm_runner = calm.runner()
    calm.versions.tables = hot_and_cold(9)
    calm_runner.round()

    bench = Bench(stream(HOT))
    runner = bench.runner()
    for number, version in enumerate(hot_and_cold(9), start=1):
        bench.versions.tables.append(version)
        bench.cut_at = step if number % after == 0 else None
        try:
            runner.round()
        except Cut:
            runner = bench.runner()
        if step == "begun":
            bench.cut_at = None
            runner = bench.runner()
    runner.round()
    assert timeless(bench.outliving.rows) == timeless(calm.outliving.rows)
    assert timeless(bench.outliving.topic) == timeless(calm.outliving.topic)


def test_what_says_nothing_is_committed_now_and_then() -> None:
    bench = Bench(stream(HOT))
    runner = bench.runner()
    bench.versions.tables = [windows(("p1/temp", minute, 80.0)) for minute in range(5)]
    runner.round()
    assert bench.outliving.kept["windows"].position == 0
    bench.seconds += COMMIT_SECONDS
    runner.round()
    assert bench.outliving.kept["windows"].position == 5


def test_a_broker_that_is_away_holds_nothing_up() -> None:
    bench = Bench(stream(HOT))
    runner = bench.runner()
    bench.topic.is_away = True
    for version in hot_and_cold(7):
        bench.versions.tables.append(version)
        runner.round()
    assert bench.numbers() == ([0, 1, 2, 3], [])
    bench.topic.is_away = False
    bench.seconds += 60
    runner.round()
    assert bench.numbers() == ([0, 1, 2, 3], [0, 1, 2, 3])


def test_the_clock_decides_only_where_all_is_read() -> None:
    bench = Bench(stream(MUTE))
    runner = bench.runner()
    bench.versions.tables = [windows(("p1/temp", 0, 1.0))]
    bench.quiet = tuple
    runner.round()
    bench.seconds += 3600
    runner.round()
    assert bench.numbers() == ([], [])
    bench.quiet = lambda: (0, 1)
    bench.seconds += 60
    runner.round()
    assert [(row["state"], row["cause"]) for row in bench.outliving.topic] == [("firing", "clock")]
    bench.seconds += 3600
    # the decision is in the state
    runner = bench.runner()
    runner.round()
    assert bench.numbers() == ([0], [0])


def test_what_came_while_the_broker_was_asked_is_judged_before_the_clock() -> None:
    bench = Bench(stream(MUTE))
    runner = bench.runner()
    bench.versions.seconds[0] = bench.seconds
    bench.versions.tables = [windows(("p1/temp", 0, 1.0))]
    runner.round()
    bench.seconds += 3600

    def quiet() -> tuple[int, ...]:
        bench.versions.seconds[len(bench.versions.tables)] = bench.seconds
        bench.versions.tables.append(windows(("p1/temp", 1, 1.0)))
        return (0,)

    bench.quiet = quiet
    runner.round()
    assert bench.outliving.rows == []


def test_history_that_is_gone_is_passed_over() -> None:
    bench = Bench(stream(HOT))
    runner = bench.runner()
    bench.versions.tables = hot_and_cold(6)
    bench.versions.forgotten = 3
    runner.round()
    assert runner._position == 6
    bench.versions.tables += hot_and_cold(9)[6:]
    runner.round()
    assert bench.numbers()[1] == [0]


def test_a_second_evaluation_is_refused() -> None:
    bench = Bench(stream(HOT))
    first, second = bench.runner(), bench.runner()
    bench.versions.tables = hot_and_cold(2)
    second.round()
    with pytest.raises(Fenced):
        first.round()
    assert bench.numbers() == ([0], [0])


def test_alerts_of_rules_that_are_gone_end() -> None:
    bench = Bench(stream(HOT))
    runner = bench.runner()
    bench.versions.tables = hot_and_cold(2)
    runner.round()
    bench.rules = stream()
    bench.runner().round()
    assert [(row["state"], row["cause"]) for row in bench.outliving.topic] == [
        ("firing", "window"),
        ("resolved", "rule"),
    ]
    # windows that came while there were no rules are not judged when there are rules again
    bench.versions.tables = hot_and_cold(9)
    bench.runner().round()
    bench.rules = stream(HOT)
    bench.runner().round()
    assert bench.numbers() == ([0, 1], [0, 1])


def test_a_stream_without_rules_leaves_no_trace() -> None:
    bench = Bench(stream())
    bench.versions.tables = hot_and_cold(3)
    bench.runner().round()
    bench.seconds += 2 * COMMIT_SECONDS
    bench.runner().round()
    assert bench.outliving == Outliving()


def test_the_times_are_of_the_commit_and_of_the_windows() -> None:
    bench = Bench(stream(HOT))
    runner = bench.runner()
    bench.versions.tables = hot_and_cold(2)
    runner.round()
    (row,) = bench.outliving.rows
    assert row["committed_at"] == datetime.fromtimestamp(1000, UTC)
    assert row["raised_at"] - row["window_start"] == timedelta(minutes=1)
