"""How soon closed windows are readable: counted at commits, kept for some minutes."""

from __future__ import annotations

import pytest

from ingestion.freshness import KEPT_MINUTES, Freshness, merged, quantile

MINUTE = 60_000


def test_rows_count_from_the_append_to_the_end_of_the_commit() -> None:
    freshness = Freshness()
    freshness.closed(95, 1_000_000)
    freshness.closed(5, 999_000)
    closed = freshness.begin()
    # what is closed while the commit runs belongs to the next
    freshness.closed(7, 1_000_500)
    freshness.committed(closed, 1_001_000)
    parts = merged([freshness.minutes])
    assert sum(parts.values()) == 100
    assert quantile(parts, 0.5) == pytest.approx(1.0, rel=0.11)
    assert quantile(parts, 0.95) == pytest.approx(1.0, rel=0.11)
    assert quantile(parts, 0.96) == pytest.approx(2.0, rel=0.11)
    assert freshness.begin() == [(7, 1_000_500)]


def test_a_share_is_never_told_too_low() -> None:
    for seconds in (0.0, 0.003, 0.5, 1.99, 2.0, 7200.0):
        freshness = Freshness()
        freshness.closed(1, 0)
        freshness.committed(freshness.begin(), seconds * 1000)
        found = quantile(merged([freshness.minutes]), 0.95)
        assert found is not None
        assert seconds <= found <= max(seconds * 1.1001, 0.01)


def test_what_is_not_known_is_not_counted() -> None:
    freshness = Freshness()
    freshness.closed(3, -1)
    freshness.closed(0, 1000)
    assert freshness.begin() == []
    assert quantile({}, 0.95) is None


def test_a_clock_that_is_behind_the_brokers_counts_as_at_once() -> None:
    freshness = Freshness()
    freshness.closed(1, 5000)
    freshness.committed(freshness.begin(), 4000)
    assert quantile(merged([freshness.minutes]), 1) == 0.01


def test_days_are_told_as_hours() -> None:
    freshness = Freshness()
    freshness.closed(1, 0)
    freshness.committed(freshness.begin(), 1e12)
    found = quantile(merged([freshness.minutes]), 0.5)
    assert found is not None
    assert 30_000 < found < 50_000


def test_old_minutes_are_forgotten_and_picked() -> None:
    freshness = Freshness()
    for minute in range(KEPT_MINUTES + 5):
        freshness.closed(1, minute * MINUTE)
        freshness.committed(freshness.begin(), minute * MINUTE + 100)
    assert sorted(freshness.minutes) == list(range(5, KEPT_MINUTES + 5))
    assert sum(merged([freshness.minutes, freshness.minutes], since_minute=13).values()) == 4
    assert Freshness.of(freshness.minutes).minutes == freshness.minutes
