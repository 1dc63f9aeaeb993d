"""Buckets that people can read, and never more of them than were asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage.queries.stores import TimeRange
from storage.queries.windows import bucket_seconds

SINCE = datetime(2026, 3, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "at_most", "expected"),
    [
        (timedelta(minutes=15), 90, 10),
        (timedelta(hours=24), 96, 900),
        (timedelta(days=7), 96, 7200),
        (timedelta(days=400), 96, 5 * 86_400),
        (timedelta(seconds=10), 96, 1),
    ],
)
def test_a_readable_bucket(length: timedelta, at_most: int, expected: float) -> None:
    found = bucket_seconds(TimeRange(since=SINCE, until=SINCE + length), at_most=at_most)
    assert found == expected
    assert length.total_seconds() / found <= at_most


def test_a_bucket_is_never_shorter_than_a_window() -> None:
    when = TimeRange(since=SINCE, until=SINCE + timedelta(minutes=15))
    assert bucket_seconds(when, at_most=1000, at_least=60) == 60


def test_a_range_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="since needs a time zone"):
        TimeRange(since=datetime(2026, 3, 29))
