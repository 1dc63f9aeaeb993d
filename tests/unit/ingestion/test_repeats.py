"""When it is certain, without looking at what was counted, that nothing is a repeat."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.repeats import Repeats, all_differ


@pytest.mark.parametrize(
    ("readings", "runs", "differ"),
    [
        ([(1, 5), (2, 6), (3, 7)], [0], True),
        ([(1, 5), (1, 6), (2, 1)], [0], True),
        ([(1, 5), (1, 5)], [0], False),
        ([(1, 5), (1, 4), (1, 5)], [0], False),
        ([(1, 5), (2, 1), (1, 5), (2, 1)], [0, 2], True),
        ([(1, 5), (2, 1), (2, 1), (1, 5), (2, 1)], [0, 3], False),
        ([(1, 5)], [0], True),
    ],
)
def test_each_comes_after_the_one_before(readings: list[tuple[int, int]], runs: list[int], differ: bool) -> None:
    event, sequence = np.array(readings, np.int64).T
    assert all_differ(event, sequence, np.array(runs)) == differ


def test_what_was_certain_to_be_new_is_known_to_later_ones() -> None:
    repeats, slot = Repeats(), np.zeros(3, np.int64)
    repeats.grow(1)
    repeats.open(slot[:1], np.array([7]))
    event, sequence = np.array([1, 2, 3]), np.array([1, 2, 3])
    assert repeats.pick(slot, event, sequence, None, are_new=True) is None
    fresh = repeats.pick(slot, np.array([3, 2, 3]), np.array([3, 9, 4]), None)
    assert fresh is not None
    assert fresh.tolist() == [1, 2]
