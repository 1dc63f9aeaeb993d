"""The loop over all streams' alerts: files that change, streams that fail, streams that are gone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import alert_loop
from infra.alert_loop import AlertLoop
from infra.alert_rules import StoredRules
from ingestion.alerts.evaluator import AlertedStream
from ingestion.alerts.runner import AlertRunner
from ingestion.errors import TryAgain
from tests.contract.memory_alerts import MemoryAlerts, MemoryAlertTopic, MemoryVersions, Outliving
from tests.unit.ingestion.alerts.test_evaluator import HOT, MUTE, stream, windows


class Bench:
    """Streams by name, all on one table in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, AlertedStream | str] = {}
        self.orphans: list[str] = []
        self.outliving = Outliving()
        self.versions = MemoryVersions()
        self.made: list[str] = []
        self.fail: Callable[[str], None] = lambda name: None
        self.loop = AlertLoop(self.rules, lambda: self.orphans, self.runner)

    def rules(self) -> list[StoredRules]:
        return [
            StoredRules(
                path=Path(name),
                name=name,
                table=name,
                stream=None if isinstance(found, str) else found,
                problem=found if isinstance(found, str) else None,
            )
            for name, found in self.stored.items()
        ]

    def runner(self, mine: AlertedStream) -> AlertRunner:
        self.made.append(mine.name)
        self.fail(mine.name)
        store = MemoryAlerts(self.outliving, mine.name)
        return AlertRunner(mine, self.versions, store, MemoryAlertTopic(self.outliving))

    def told(self) -> list[tuple[str, str, str]]:
        return [(row["rule"], row["state"], row["cause"]) for row in self.outliving.topic]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_change_of_the_rules_takes_effect_at_once(bench: Bench) -> None:
    bench.stored["windows"] = stream(HOT)
    bench.loop.round()
    bench.versions.tables.append(windows(("p1/temp", 0, 95.0)))
    bench.loop.round()
    assert bench.told() == [("hot", "firing", "window")]
    bench.stored["windows"] = stream(MUTE)
    bench.loop.round()
    assert bench.told()[1:] == [("hot", "resolved", "rule")]
    assert bench.made == ["windows"] * 2


def test_while_a_file_is_wrong_the_rules_of_before_stay(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.stored["windows"] = stream(HOT)
    bench.loop.round()
    bench.stored["windows"] = "alerts.yml:3: found 'hot'"
    # its state is known: a wrong file must not end its alerts
    bench.orphans = ["windows"]
    bench.versions.tables.append(windows(("p1/temp", 0, 95.0)))
    with caplog.at_level(logging.ERROR):
        bench.loop.round()
        bench.loop.round()
    assert bench.told() == [("hot", "firing", "window")]
    assert [record.getMessage() for record in caplog.records] == [
        "the alerts of windows stay as they were: alerts.yml:3: found 'hot'"
    ]


@pytest.mark.parametrize(
    "leaves", [lambda bench: bench.stored.clear(), lambda bench: bench.stored.update(windows=stream())]
)
def test_alerts_of_a_stream_that_is_gone_end(bench: Bench, leaves: Callable[[Bench], None]) -> None:
    bench.stored["windows"] = stream(HOT)
    bench.loop.round()
    bench.versions.tables.append(windows(("p1/temp", 0, 95.0)))
    bench.loop.round()
    leaves(bench)
    bench.orphans = ["windows"]
    bench.loop.round()
    bench.loop.round()
    assert bench.told() == [("hot", "firing", "window"), ("hot", "resolved", "rule")]


def test_one_that_fails_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failing: list[BaseException] = [TryAgain("the lake is away"), RuntimeError("unexpected")]

    def fail(name: str) -> None:
        if name == "broken" and failing:
            raise failing.pop()

    bench.fail = fail
    bench.stored = {
        "broken": AlertedStream(name="broken", table="t", key=(), rules=stream(HOT).rules),
        "windows": stream(HOT),
    }
    bench.loop.round()
    assert "windows" in bench.outliving.kept
    bench.loop.round()
    assert bench.made == ["broken", "windows"]
    monkeypatch.setattr(alert_loop, "TRY_AGAIN_SECONDS", 0)
    bench.loop = AlertLoop(bench.rules, list, bench.runner)
    bench.loop.round()
    bench.loop.round()
    assert "broken" in bench.outliving.kept


def test_it_ends_when_it_is_asked(bench: Bench) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=bench.loop.serve, args=(stop,))
    thread.start()
    stop.set()
    thread.join(timeout=90)
    assert not thread.is_alive()
