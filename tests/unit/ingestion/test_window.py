"""What a kind of window may be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window

S = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TumblingWindow(size=0 * S), "size must be positive"),
        (lambda: TumblingWindow(size=S, allowed_lateness=-S), "allowed_lateness must not be negative"),
        (lambda: SessionWindow(gap=S, correction_lateness=-S), "correction_lateness must not be negative"),
        (lambda: HoppingWindow(size=S, every=0 * S), "every must be positive"),
        (lambda: HoppingWindow(size=5 * S, every=2 * S), "5 s is none of 2 s"),
        (lambda: HoppingWindow(size=S, every=2 * S), "whole multiple"),
        (lambda: HoppingWindow(size=1001 * S, every=S), "in 1001 windows, at most 1000"),
        (lambda: SessionWindow(gap=0 * S), "gap must be positive"),
        (lambda: SessionWindow(gap=2 * S, max_size=S), "max_size must not be shorter"),
    ],
)
def test_windows_that_are_none(make: Callable[[], Window], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_lengths_in_microseconds() -> None:
    hopping = HoppingWindow(size=2 * S, every=S / 2, allowed_lateness=3 * S, correction_lateness=4 * S)
    assert (hopping.size_us, hopping.every_us) == (2_000_000, 500_000)
    assert (hopping.allowed_lateness_us, hopping.correction_lateness_us) == (3_000_000, 4_000_000)
    assert SessionWindow(gap=S).max_size_us is None
    assert SessionWindow(gap=S, max_size=2 * S).max_size_us == 2_000_000
