"""Times and durations as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra.cli.times import moment_or_duration


def test_moments_need_a_zone() -> None:
    assert moment_or_duration("2026-03-01T12:00:00+02:00") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert moment_or_duration("6h") == timedelta(hours=6)
    with pytest.raises(ValueError, match="no time zone; add Z"):
        moment_or_duration("2026-03-01T12:00:00")
    with pytest.raises(ValueError, match="neither a time nor a duration"):
        moment_or_duration("soon")
