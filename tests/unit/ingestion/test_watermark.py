"""The running maximum, by both of its ways, against a loop."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.watermark import NEVER, Watermarks, running_maximum


def by_loop(group: list[int], value: list[int], start: list[int]) -> list[int]:
    held = list(start)
    found = []
    for g, v in zip(group, value, strict=True):
        held[g] = max(held[g], v)
        found.append(held[g])
    return found


@pytest.mark.parametrize("spread", [1, 50, 10**15, 2**61])
def test_running_maximum(spread: int) -> None:
    random = np.random.default_rng(1)
    group = random.integers(0, 7, 500)
    value = random.integers(-spread, spread, 500)
    start = np.array([NEVER, 0, spread, -spread, 3, NEVER, 1])
    found = running_maximum(group, value, start)
    assert found.tolist() == by_loop(group.tolist(), value.tolist(), start.tolist())


def test_more_groups_than_sixteen_bits() -> None:
    group = np.arange(70_000)[::-1].copy()
    value = np.arange(70_000)
    assert running_maximum(group, value, np.full(70_000, 5)).tolist() == np.maximum(value, 5).tolist()


def test_nothing() -> None:
    empty = np.zeros(0, np.int64)
    assert running_maximum(empty, empty, empty).tolist() == []


def test_a_machines_clock_does_not_move_anothers() -> None:
    marks = Watermarks(allowed_lateness_us=10)
    machine = marks.codes_of(["a", "b"])
    assert marks.advance(machine[[0, 1, 0]], np.array([100, 5, 50])).closed_until.tolist() == [90, -5, 90]
    marks.raise_floor(machine[[1]], np.array([1000]))
    assert marks.advance(machine[[1]], np.array([6])).closed_until.tolist() == [1000]
    assert marks.closed_until()[:2].tolist() == [90, 1000]


@pytest.mark.parametrize("disorder", [0, 1, 40])
def test_long_runs_of_a_machine_pass_like_single_readings(disorder: int) -> None:
    """Whether or not their order lets whole runs be looked at: the same clocks, the same windows closed at each."""
    random = np.random.default_rng(disorder)
    marks, model = Watermarks(allowed_lateness_us=3), Watermarks(allowed_lateness_us=3)
    names = ["a", "b", "c"]
    marks.codes_of(names)
    model.codes_of(names)
    for _ in range(30):
        machine = np.repeat(random.integers(0, 3, 6), 20)
        ahead = np.arange(len(machine)) // 2 + int(marks.newest[:3].max(initial=0)) + 1
        event = np.maximum(ahead - random.integers(0, disorder + 1, len(machine)), 0)
        marks.raise_floor(machine[:1], event[-1:] - 2)
        model.raise_floor(machine[:1], event[-1:] - 2)
        passed = marks.advance(machine, event)
        expected = [
            int(model.advance(machine[[place]], event[[place]]).closed_until[0]) for place in range(len(machine))
        ]
        assert passed.closed_until.tolist() == expected
        assert marks.newest.tolist() == model.newest.tolist()
        assert (passed.runs is None) == (disorder > 0)


def test_a_run_that_begins_with_a_moment_seen_before_may_hold_repeats() -> None:
    marks = Watermarks(allowed_lateness_us=0)
    machine = np.repeat(marks.codes_of(["a"]), 20)
    event = np.arange(20)
    assert marks.advance(machine, event).runs is not None
    assert marks.advance(machine, event + 19).runs is None
    assert marks.advance(machine, event + 39).runs is not None
