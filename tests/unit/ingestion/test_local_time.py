"""Times as people and loggers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from ingestion.codec import EPOCH
from ingestion.local_time import ParsedTimes, localize, parse_times

OSLO = ZoneInfo("Europe/Oslo")
UTC_ZONE = ZoneInfo("UTC")


def parse(texts: list[str], zone: ZoneInfo = UTC_ZONE, time_format: str | None = None) -> ParsedTimes:
    return parse_times(pd.Series(texts, dtype="str"), zone=zone, time_format=time_format)


def utc(parsed: ParsedTimes) -> list[str]:
    return [(EPOCH + timedelta(microseconds=int(us))).strftime("%d %H:%M") for us in parsed.time_us]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01 12:00:00.25",
        "2026-03-01T12:00:00.250000",
        "2026-03-01T12:00:00.25Z",
        "2026-03-01T13:00:00.25+01:00",
        "2026-03-01 07:00:00.25-0500",
    ],
)
def test_iso_times_with_and_without_zone(text: str) -> None:
    parsed = parse([text])
    assert not parsed.problems
    assert EPOCH + timedelta(microseconds=int(parsed.time_us[0])) == datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_zoned_and_naive_times_may_be_mixed() -> None:
    parsed = parse(["2026-01-01 12:00:00", "2026-01-01T12:00:00Z"], OSLO)
    assert utc(parsed) == ["01 11:00", "01 12:00"]


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("%d.%m.%Y %H:%M", "01.03.2026 12:00"),
        ("epoch", "1772366400"),
        ("epoch", "1772366400.0"),
        ("epoch_ms", "1772366400000"),
        ("epoch_us", "1772366400000000"),
    ],
)
def test_other_formats(time_format: str, text: str) -> None:
    parsed = parse([text], time_format=time_format)
    assert not parsed.problems
    assert parsed.time_us[0] == 1_772_366_400_000_000


def test_numeric_times_keep_every_microsecond() -> None:
    assert parse(["1772366400123457"], time_format="epoch_us").time_us[0] == 1_772_366_400_123_457


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01 00:00:00", "2026-02-30 00:00:00", "12:00"])
def test_what_is_no_time_is_told_with_its_index(text: str) -> None:
    parsed = parse(["2026-03-01 12:00:00", text])
    assert [(one.index, one.found) for one in parsed.problems] == [(1, text)]


@pytest.mark.parametrize("text", ["", "soon", "1e300", "nan"])
def test_what_is_no_number_of_seconds_is_told(text: str) -> None:
    assert [one.index for one in parse(["1772366400", text], time_format="epoch").problems] == [1]


def test_a_local_time_that_the_clocks_skip_is_refused() -> None:
    parsed = parse(["2026-03-29 01:59:59", "2026-03-29 02:30:00", "2026-03-29 03:00:00"], OSLO)
    assert [one.index for one in parsed.problems] == [1]
    assert "no such local time in Europe/Oslo" in parsed.problems[0].mend
    assert parsed.time_us[2] - parsed.time_us[0] == 1_000_000


def test_an_hour_that_happens_twice_is_the_earlier_until_the_clock_steps_back() -> None:
    local = pd.date_range("2026-10-25 01:30", "2026-10-25 02:50", freq="10min")
    again = pd.date_range("2026-10-25 02:00", "2026-10-25 03:30", freq="10min")
    texts = [str(one) for one in [*local, *again]]
    parsed = parse(texts, OSLO)
    assert not parsed.problems
    assert set(np.diff(parsed.time_us)) == {600_000_000}
    assert utc(parsed)[0] == "24 23:30"


def test_a_recording_within_that_hour_without_a_step_back_is_the_earlier() -> None:
    assert utc(parse(["2026-10-25 02:10:00", "2026-10-25 02:20:00"], OSLO)) == ["25 00:10", "25 00:20"]


def test_sensors_of_a_long_recording_step_back_each_for_itself() -> None:
    texts = ["2026-10-25 02:50:00", "2026-10-25 02:10:00", "2026-10-25 02:20:00", "2026-10-25 02:30:00"]
    parsed = parse_times(
        pd.Series(texts, dtype="str"), zone=OSLO, time_format=None, series=np.array([0, 0, 1, 1], dtype=np.int64)
    )
    assert utc(parsed) == ["25 00:50", "25 01:10", "25 00:20", "25 00:30"]


def test_timestamps_without_zone_are_localized_the_same_way() -> None:
    noon = np.array([1_772_366_400_000_000], dtype=np.int64)
    assert localize(noon, zone=OSLO).time_us[0] == noon[0] - 3_600_000_000
