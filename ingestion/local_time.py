"""Times as text or numbers in a recording -> UTC microseconds, with one clear rule for daylight saving.

- A time with a zone (`Z`, `+02:00`) is that instant. A time without one is local time of the given zone.
- A local time that the clocks skip in spring does not exist and is refused.
- A local time that happens twice in autumn is the earlier instant, until the recording's local times step back; from
  there on it is the later one. (A recording that begins within that hour without a step back is the earlier.)
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_ZONED = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_EPOCH_US = {"epoch": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}

EPOCH_FORMATS = tuple(_EPOCH_US)
"""Formats of numeric times: seconds, milliseconds, microseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class TimeProblem:
    """A time that cannot be used. `index` counts from 0; `mend` says what to do."""

    index: int
    found: str
    mend: str


@dataclass(frozen=True, slots=True)
class ParsedTimes:
    """Microseconds since 1970 (UTC), meaningful only where there is no problem."""

    time_us: NDArray[np.int64]
    problems: list[TimeProblem]


def parse_times(
    found: pd.Series[str], *, zone: ZoneInfo, time_format: str | None, series: NDArray[np.int64] | None = None
) -> ParsedTimes:
    """Times written as text. `time_format` is None for ISO 8601, a strptime pattern, or one of EPOCH_FORMATS.

    `series` numbers the sensor of each row where rows of several sensors are mixed: each steps back on its own.
    """
    if time_format in _EPOCH_US:
        return _epoch(found, _EPOCH_US[str(time_format)])
    text = found.str.strip()
    zoned = text.str.contains(_ZONED, regex=True).to_numpy(dtype=bool, na_value=False)
    result = np.zeros(len(text), dtype=np.int64)
    problems: list[TimeProblem] = []
    if zoned.any():
        moments = pd.to_datetime(text[zoned], format=time_format or "ISO8601", errors="coerce", utc=True)
        _fill(result, zoned, moments, text, time_format, problems)
    if not zoned.all():
        naive = pd.to_datetime(text[~zoned], format=time_format or "ISO8601", errors="coerce")
        rows = np.flatnonzero(~zoned)
        _fill(result, ~zoned, naive, text, time_format, problems)
        _localize(result, rows[naive.notna().to_numpy()], zone, text, series, problems)
    return ParsedTimes(result, sorted(problems, key=lambda one: one.index))


def localize(naive_us: NDArray[np.int64], *, zone: ZoneInfo, series: NDArray[np.int64] | None = None) -> ParsedTimes:
    """Local times (microseconds as if they were UTC) as instants."""
    result = naive_us.copy()
    text = pd.Series(pd.to_datetime(naive_us, unit="us").astype(str))
    problems: list[TimeProblem] = []
    _localize(result, np.arange(len(naive_us)), zone, text, series, problems)
    return ParsedTimes(result, problems)


def _epoch(found: pd.Series[str], factor: int) -> ParsedTimes:
    number = pd.to_numeric(found.str.strip(), errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(number) | (np.abs(number) * factor > 9e18)
    problems = [
        TimeProblem(int(row), str(found.iloc[row]), "write a number of seconds (or ms, us) since 1970")
        for row in np.flatnonzero(bad)
    ]
    whole = pd.to_numeric(found.str.strip(), errors="coerce", downcast="integer")
    if pd.api.types.is_integer_dtype(whole):
        return ParsedTimes(whole.to_numpy(dtype=np.int64) * factor, problems)
    return ParsedTimes(np.round(np.where(bad, 0.0, number) * factor).astype(np.int64), problems)


def _fill(
    result: NDArray[np.int64],
    mask: NDArray[np.bool_],
    moments: pd.Series[pd.Timestamp],
    text: pd.Series[str],
    time_format: str | None,
    problems: list[TimeProblem],
) -> None:
    rows = np.flatnonzero(mask)
    missing = moments.isna().to_numpy()
    expected = f"write it as {time_format}" if time_format else "write it as 2026-03-01 12:00:00, or give --time-format"
    problems += [TimeProblem(int(row), str(text.iloc[row]), expected) for row in rows[missing]]
    plain = moments.dt.tz_convert("UTC").dt.tz_localize(None) if moments.dt.tz is not None else moments
    result[rows[~missing]] = plain[~missing].to_numpy().astype("datetime64[us]").astype(np.int64)


def _localize(
    result: NDArray[np.int64],
    rows: NDArray[np.int64],
    zone: ZoneInfo,
    text: pd.Series[str],
    series: NDArray[np.int64] | None,
    problems: list[TimeProblem],
) -> None:
    if len(rows) == 0:
        return
    naive = pd.Series(pd.to_datetime(result[rows], unit="us"))
    earlier = naive.dt.tz_localize(zone, ambiguous=np.ones(len(rows), dtype=bool), nonexistent="NaT")
    later = naive.dt.tz_localize(zone, ambiguous=np.zeros(len(rows), dtype=bool), nonexistent="NaT")
    absent = earlier.isna().to_numpy()
    for place in np.flatnonzero(absent):
        row = int(rows[place])
        mend = f"no such local time in {zone.key}, the clocks skip it; give the --time-zone that the logger really used"
        problems.append(TimeProblem(row, str(text.iloc[row]), mend))
    twice = (earlier != later).to_numpy() & ~absent
    stepped = _stepped_back(result[rows], twice, series[rows] if series is not None else None)
    chosen = later.where(pd.Series(stepped), earlier)
    utc = chosen.dt.tz_convert("UTC").dt.tz_localize(None)
    result[rows[~absent]] = utc[~absent].to_numpy().astype("datetime64[us]").astype(np.int64)


def _stepped_back(
    naive_us: NDArray[np.int64], twice: NDArray[np.bool_], series: NDArray[np.int64] | None
) -> NDArray[np.bool_]:
    """Which of the times that happen twice come after a step back within the same hour's day and sensor."""
    result = np.zeros(len(naive_us), dtype=bool)
    places = np.flatnonzero(twice)
    if len(places) == 0:
        return result
    frame = pd.DataFrame(
        {
            "naive": naive_us[places],
            "day": naive_us[places] // 86_400_000_000,
            "series": 0 if series is None else series[places],
        }
    )
    back = frame.groupby(["day", "series"])["naive"].diff() < 0
    result[places] = back.groupby([frame["day"], frame["series"]]).cummax().to_numpy()
    return result
