"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestion.duration import duration, duration_or_zero


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("6h", 21600), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("2d 3h", 183600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "6", "h", "6 hours", "-6h", "1h-", "0s", "6h!", "99999999999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|not longer|longer than any"):
        duration(text)


def test_nothing_is_a_duration_where_it_may_be() -> None:
    assert duration_or_zero("0s") == timedelta(0)
    with pytest.raises(ValueError, match="no duration"):
        duration_or_zero("0")
