"""Silence is a machine's, not the broker's."""

from __future__ import annotations

from ingestion.idleness import LONGEST_PAUSE, Idleness


def watched(idleness: Idleness, begin: int, end: int) -> None:
    for second in range(begin, end):
        idleness.answered(float(second))


def test_a_machine_is_silent_after_the_timeout() -> None:
    idleness = Idleness(10.0, now=0.0)
    idleness.heard(["a"], 3.0)
    watched(idleness, 0, 13)
    assert idleness.silent(["a"], 12.9) == []
    watched(idleness, 13, 14)
    assert idleness.silent(["a"], 13.0) == ["a"]


def test_a_machine_that_was_never_heard_here_counts_from_the_assignment() -> None:
    idleness = Idleness(10.0, now=100.0)
    watched(idleness, 100, 111)
    assert idleness.silent(["a"], 109.0) == []
    assert idleness.silent(["a"], 110.0) == ["a"]


def test_a_broker_that_does_not_answer_makes_nobody_silent() -> None:
    idleness = Idleness(3.0, now=0.0)
    watched(idleness, 0, 2)
    assert idleness.silent(["a"], 1.0 + LONGEST_PAUSE + 0.1) == []
    back = 60
    watched(idleness, back, back + 3)
    assert idleness.silent(["a"], back + 2.0) == []
    watched(idleness, back + 3, back + 4)
    assert idleness.silent(["a"], back + 3.0) == ["a"]
