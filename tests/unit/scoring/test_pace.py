"""Items a second, from counts and times alone."""

from __future__ import annotations

import pytest

from scoring.pace import Pace


def test_too_little_is_no_pace() -> None:
    pace = Pace(10, 100.0)
    assert pace.at(20, 100.1) is None
    assert pace.at(10, 103.0) is None


def test_items_of_an_earlier_claim_do_not_count() -> None:
    assert Pace(1000, 0.0).at(1010, 5.0) == pytest.approx(2.0)


def test_only_the_last_half_minute_counts() -> None:
    pace = Pace(0, 0.0)
    for second in range(1, 121):
        rate = pace.at(second if second <= 60 else 60 + (second - 60) * 10, float(second))
    assert rate == pytest.approx(10.0)


def test_a_standstill_is_seen() -> None:
    pace = Pace(0, 0.0)
    assert pace.at(100, 10.0) == pytest.approx(10.0)
    assert pace.at(100, 30.0) == pytest.approx(100 / 30)
    for second in range(31, 60):
        last = pace.at(100, float(second))
    assert last is None
