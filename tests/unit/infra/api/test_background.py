from __future__ import annotations

import threading
import time

from infra.api.background import Background
from infra.api.parts import Loop


def wait_for(condition: threading.Event) -> None:
    assert condition.wait(60), "waited 60 s for the loop"


def test_loops_run_until_they_are_stopped() -> None:
    running = threading.Event()

    def run(stop: threading.Event) -> None:
        running.set()
        stop.wait(30)

    background = Background([Loop(name="a", run=run)])
    background.start()
    wait_for(running)
    assert background.ended() == []
    assert background.stop(60) == []
    assert background.ended() == ["a"]


def test_a_loop_that_fails_is_started_again() -> None:
    again, tries = threading.Event(), []

    def run(stop: threading.Event) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("unexpected")
        again.set()
        stop.wait(30)

    background = Background([Loop(name="a", run=run)])
    background.start()
    wait_for(again)
    assert background.stop(60) == []


def test_a_loop_that_does_not_end_is_named() -> None:
    release = threading.Event()
    background = Background([Loop(name="stuck", run=lambda stop: release.wait(100) and None)])
    background.start()
    began = time.monotonic()
    assert background.stop(0.2) == ["stuck"]
    assert time.monotonic() - began < 60
    release.set()


def test_a_loop_that_waits_for_news_is_woken_to_end() -> None:
    running, news = threading.Event(), threading.Event()

    def run(stop: threading.Event) -> None:
        while not stop.is_set():
            running.set()
            news.wait(200)

    background = Background([Loop(name="a", run=run)], wake=news.set)
    background.start()
    wait_for(running)
    assert background.stop(60) == []
