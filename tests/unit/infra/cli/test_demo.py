"""The demo's calendar: past, whole hours, and never ahead of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra.cli.demo import Calendar


@pytest.mark.parametrize("minute", [0, 1, 29, 59])
def test_the_live_plant_meets_the_clock_and_does_not_overtake_it(minute: int) -> None:
    now = datetime(2026, 3, 1, 12, minute, 17, tzinfo=UTC)
    calendar = Calendar(now=now)
    until = calendar.catches_up(now)
    takes = (until - calendar.live_starts) / calendar.pace
    assert timedelta(0) < (now + takes) - until < timedelta(minutes=3)
    assert timedelta(minutes=3) < takes < timedelta(minutes=7), "long enough for several scheduled jobs"


def test_the_stretches_follow_each_other_without_a_gap() -> None:
    calendar = Calendar(now=datetime(2026, 3, 1, 0, 30, tzinfo=UTC))
    assert calendar.starts + calendar.healthy == calendar.faults_start
    assert calendar.faults_start + calendar.faulty == calendar.live_starts
    assert calendar.live_starts.minute == calendar.live_starts.second == 0
