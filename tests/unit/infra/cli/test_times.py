"""Times and durations as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra.cli.times import duration, moment_or_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("6h", 21600), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("2d 3h", 183600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "6", "h", "6 hours", "-6h", "1h-", "0s", "6h!"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|not longer"):
        duration(text)


def test_moments_need_a_zone() -> None:
    assert moment_or_duration("2026-03-01T12:00:00+02:00") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert moment_or_duration("6h") == timedelta(hours=6)
    with pytest.raises(ValueError, match="no time zone; add Z"):
        moment_or_duration("2026-03-01T12:00:00")
    with pytest.raises(ValueError, match="neither a time nor a duration"):
        moment_or_duration("soon")
