from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingestion.backfill.reads import NEVER, EventRange, Kept, identical_from, reads_of
from ingestion.errors import InvalidInput
from ingestion.records import Message
from tests.contract.histories import MemoryHistory

START = datetime(2026, 3, 1, tzinfo=UTC)
SKEW = timedelta(minutes=5)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


SPAN = EventRange(since=at(60), until=at(120))


def history(begin: int = 0) -> MemoryHistory:
    """A message a minute for three hours; offset n is of minute n."""
    stamps = [int(at(minute).timestamp() * 1000) for minute in range(180)]
    return MemoryHistory({0: [Message(n, stamp, b"m", b"{}") for n, stamp in enumerate(stamps)]}, begin=begin)


def test_reading_begins_the_skew_before_the_range_and_ends_with_the_topic() -> None:
    (read,) = reads_of(history(), SPAN, max_future_skew=SKEW)
    assert (read.begin, read.end, read.identical_from) == (55, 180, SPAN.since)
    assert sum(len(messages) for messages in read.messages()) == 125


def test_sessions_reach_back() -> None:
    (read,) = reads_of(history(), SPAN, max_future_skew=SKEW, reach=timedelta(minutes=10))
    assert read.begin == 45


def test_no_further_than_the_live_stream() -> None:
    (read,) = reads_of(history(), SPAN, ends={0: 70}, max_future_skew=SKEW)
    assert (read.begin, read.end) == (55, 70)
    (nothing,) = reads_of(history(), SPAN, ends={0: 7}, max_future_skew=SKEW)
    assert list(nothing.messages()) == []
    assert reads_of(history(), SPAN, ends={}, max_future_skew=SKEW) == []
    with pytest.raises(InvalidInput, match="ends at 180, but the lake stands at 181"):
        reads_of(history(), SPAN, ends={0: 181}, max_future_skew=SKEW)


@pytest.mark.parametrize(
    ("begin", "first_minute", "expected"),
    [
        (0, 90, at(60)),  # nothing was ever deleted
        (9, 54, at(60)),  # what was deleted was not needed
        (9, 55, at(60)),  # the deleted ones hold readings up to the 60th minute, and none of it
        (9, 80, at(85)),
        (9, None, NEVER),
    ],
)
def test_from_where_on_windows_are_complete(begin: int, first_minute: float | None, expected: datetime) -> None:
    kept = Kept(begin=begin, end=500, first_at=None if first_minute is None else at(first_minute))
    assert identical_from(SPAN, kept, at(55), max_future_skew=SKEW) == expected


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [(at(1), at(1), "is not before"), (at(2), at(1), "is not before"), (datetime(2026, 3, 1), at(1), "no time zone")],
)
def test_a_range_that_is_none_is_refused(since: datetime, until: datetime, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        EventRange(since=since, until=until)
