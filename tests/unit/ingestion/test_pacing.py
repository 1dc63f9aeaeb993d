"""When readings may leave."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from ingestion.errors import InvalidInput
from ingestion.pacing import Pace, Pacer

PAST = datetime(2026, 3, 1, tzinfo=UTC)


class Clock(threading.Event):
    """The clocks that the pacer reads and the event that it waits on: a wait is over at once, and the clocks are on."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.at_first = now
        self.waited = 0.0
        self.stops_after = math.inf

    def now(self, zone: tzinfo) -> datetime:
        return (self.at_first + timedelta(seconds=self.waited)).astimezone(zone)

    def monotonic(self) -> float:
        return 7000 + self.waited

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited += min(timeout, self.stops_after)
        if timeout > self.stops_after:
            self.set()
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(PAST + timedelta(days=9))
    monkeypatch.setattr("ingestion.pacing.datetime", made)
    monkeypatch.setattr("ingestion.pacing.time", made)
    return made


def seconds_waited(clock: Clock, pace: Pace, first: datetime, last: datetime, before: int = 0) -> float:
    assert Pacer(pace, first_event=first, stop=clock).wait(last, before)
    return clock.waited


def test_without_limits_the_past_leaves_at_once(clock: Clock) -> None:
    assert seconds_waited(clock, Pace(), PAST, PAST + timedelta(hours=1)) == 0


def test_speed_divides_event_time(clock: Clock) -> None:
    assert seconds_waited(clock, Pace(speed=100), PAST, PAST + timedelta(seconds=30)) == pytest.approx(0.3)


def test_rate_counts_what_has_left(clock: Clock) -> None:
    assert seconds_waited(clock, Pace(rate=1000), PAST, PAST, before=300) == pytest.approx(0.3)


def test_what_is_not_yet_true_waits_for_the_clock(clock: Clock) -> None:
    now = clock.at_first
    waited = seconds_waited(clock, Pace(), now - timedelta(hours=1), now + timedelta(seconds=0.3))
    assert waited == pytest.approx(0.3)


def test_who_starts_in_the_future_on_purpose_is_not_held_back(clock: Clock) -> None:
    later = clock.at_first + timedelta(days=1)
    assert seconds_waited(clock, Pace(), later, later + timedelta(hours=1)) == 0


def test_a_stop_ends_the_wait_at_once(clock: Clock) -> None:
    clock.stops_after = 0.1
    assert not Pacer(Pace(speed=1), first_event=PAST, stop=clock).wait(PAST + timedelta(hours=1), 0)
    assert clock.waited == 0.1


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"speed": -1}, {"rate": 0}, {"speed": math.nan}], ids=str)
def test_impossible_paces_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="is allowed"):
        Pace(**wrong)


def test_a_slice_is_at_most_a_second_of_wall_clock_time() -> None:
    assert Pace(speed=60).slice_seconds(72, 100) == 60
    assert Pace(speed=600).slice_seconds(72, 100) == 100
    assert Pace(rate=36).slice_seconds(72, 100) == 0.5
    assert Pace().slice_seconds(0, 100) == 100
