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
    assert marks.advance(machine[[0, 1, 0]], np.array([100, 5, 50])).tolist() == [90, -5, 90]
    marks.raise_floor(machine[[1]], np.array([1000]))
    assert marks.advance(machine[[1]], np.array([6])).tolist() == [1000]
    assert marks.closed_until()[:2].tolist() == [90, 1000]
