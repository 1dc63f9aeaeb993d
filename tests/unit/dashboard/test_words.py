"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from dashboard import words

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1204, "1,204"),
        (9999, "9,999"),
        (10_000, "10 k"),
        (38_249, "38.2 k"),
        (999_499, "999 k"),
        (1_250_000, "1.25 M"),
        (3e9, "3 G"),
        (None, "–"),
        (float("nan"), "–"),
        (pd.NA, "–"),
    ],
)
def test_counts(number: float | None, text: str) -> None:
    assert words.count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (9, "9 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (1800, "30 min"),
        (7500, "2 h 05 min"),
        (273_600, "3 d 4 h"),
        (-3, "0 s"),
        (None, "–"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


def test_moments_before_after_and_never() -> None:
    assert words.ago(NOW - timedelta(seconds=4), NOW) == "4 s ago"
    assert words.ago(NOW + timedelta(minutes=6), NOW) == "in 6 min"
    assert words.ago(None, NOW) == "never"
    assert words.ago(pd.NaT, NOW) == "never"  # type: ignore[arg-type]


def test_times_are_told_in_utc() -> None:
    from zoneinfo import ZoneInfo

    assert words.clock(NOW.astimezone(ZoneInfo("Europe/Berlin"))) == "29 Mar 12:00:00"


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.97, "97 %"), (0.9996, "99.9 %"), (1.0, "100 %"), (0.0, "0 %"), (None, "–")]
)
def test_a_share_is_never_rounded_up_to_a_whole(ratio: float | None, text: str) -> None:
    assert words.share(ratio) == text


def test_names_and_units() -> None:
    assert words.quantity("bearing_temperature") == "Bearing temperature"
    assert (words.unit("degC"), words.unit("m3/h"), words.unit("bar"), words.unit(None)) == ("°C", "m³/h", "bar", "")
    assert (words.plural(1, "job"), words.plural(3, "job"), words.plural(2, "try", "tries")) == (
        "1 job",
        "3 jobs",
        "2 tries",
    )
    assert words.size(7_193_457) == "7.19 MB"
