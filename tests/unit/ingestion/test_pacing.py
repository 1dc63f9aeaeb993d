"""When readings may leave."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.errors import InvalidInput
from ingestion.pacing import Pace, Pacer

PAST = datetime(2026, 3, 1, tzinfo=UTC)


def seconds_waited(pace: Pace, first: datetime, last: datetime, before: int = 0) -> float:
    pacer = Pacer(pace, first_event=first, stop=threading.Event())
    began = time.monotonic()
    assert pacer.wait(last, before)
    return time.monotonic() - began


def test_without_limits_the_past_leaves_at_once() -> None:
    assert seconds_waited(Pace(), PAST, PAST + timedelta(hours=1)) < 0.1


def test_speed_divides_event_time() -> None:
    assert 0.25 < seconds_waited(Pace(speed=100), PAST, PAST + timedelta(seconds=30)) < 1


def test_rate_counts_what_has_left() -> None:
    assert 0.25 < seconds_waited(Pace(rate=1000), PAST, PAST, before=300) < 1


def test_what_is_not_yet_true_waits_for_the_clock() -> None:
    now = datetime.now(UTC)
    assert 0.2 < seconds_waited(Pace(), now - timedelta(hours=1), now + timedelta(seconds=0.3)) < 1


def test_who_starts_in_the_future_on_purpose_is_not_held_back() -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    assert seconds_waited(Pace(), later, later + timedelta(hours=1)) < 0.1


def test_a_stop_ends_the_wait_at_once() -> None:
    stop = threading.Event()
    pacer = Pacer(Pace(speed=1), first_event=PAST, stop=stop)
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert not pacer.wait(PAST + timedelta(hours=1), 0)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"speed": -1}, {"rate": 0}, {"speed": math.nan}], ids=str)
def test_impossible_paces_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="is allowed"):
        Pace(**wrong)


def test_a_slice_is_at_most_a_second_of_wall_clock_time() -> None:
    assert Pace(speed=60).slice_seconds(72, 100) == 60
    assert Pace(speed=600).slice_seconds(72, 100) == 100
    assert Pace(rate=36).slice_seconds(72, 100) == 0.5
    assert Pace().slice_seconds(0, 100) == 100
