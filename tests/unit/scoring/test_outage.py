"""One line when it goes, one when it is back."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from scoring.compute.inline import InlineCompute
from scoring.errors import TryAgain
from scoring.outage import Outage
from tests.contract.engine import Engine


def test_every_outage_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([100.0, 107.0, 200.0])
    outage = Outage(logging.getLogger("outage"), "the loop", clock=lambda: next(times))
    outage.over()
    for _ in range(3):
        outage.away(TryAgain("the database is away"))
    outage.over()
    outage.over()
    outage.away(TryAgain("the lake is away"))
    assert caplog.messages == [
        "the loop waits: the database is away",
        "the loop goes on after 7 s",
        "the loop waits: the lake is away",
    ]


def test_the_runner_tells_an_outage_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    stop = threading.Event()
    looks = iter(range(6))

    def claim(*_: object, **__: object) -> None:
        if next(looks) < 5:
            raise TryAgain("the database is away")
        stop.set()

    monkeypatch.setattr(engine.jobs, "claim", claim)
    engine.runner(InlineCompute(lambda m: [])).serve(stop, poll=0.001)
    assert caplog.messages == ["runner waits: the database is away", "runner goes on after 0 s"]
