"""What the lake's windows say: rates, machines, and one machine's sensors over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from storage.queries import lake, postgres
from storage.queries.errors import QueryError
from storage.queries.stores import Stores, TimeRange

MOST_POINTS = 3000
"""No answer for a chart has more points than this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """From the first window's start to the last window's end, over the whole table; None where there is no window."""

    since: datetime | None
    until: datetime | None


def extent(stores: Stores) -> Extent:
    """The event time that the lake covers, from file statistics alone: no row is read."""
    of = lake.snapshot(stores.lake, "windows")
    if not of.rows:
        return Extent(since=None, until=None)
    name = "min.window_start"
    starts = [t for t in of.actions[name].to_pylist() if t is not None] if name in of.actions.column_names else []
    return Extent(since=min(starts, default=None), until=of.extreme("window_end"))


def window_seconds(stores: Stores) -> float | None:
    """Length of the newest window in seconds; None where there is no window."""
    until = extent(stores).until
    if until is None:
        return None
    newest = lake.read(
        stores.lake,
        "select epoch(max(window_end - window_start)) as s from windows where window_end = $until",
        {"until": until},
        tables={"windows": TimeRange(since=until)},
    )
    return None if newest.empty or pd.isna(newest["s"][0]) else float(newest["s"][0])


def bucket_seconds(when: TimeRange, *, at_most: int, at_least: float = 1.0) -> float:
    """A bucket that people can read (1, 2, 5, 10, 15, 30 s, min, h, d) so that `when` has `at_most` of them."""
    assert when.since is not None
    assert when.until is not None
    wanted = max((when.until - when.since).total_seconds() / at_most, at_least)
    steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]
    return float(next((s for s in steps if s >= wanted), math.ceil(wanted / 86400) * 86400))


def rates(stores: Stores, when: TimeRange, *, bucket: float) -> pd.DataFrame:
    """Per bucket of event time: bucket_start, windows, readings, readings_per_second, machines. Only whole buckets.

    A bucket without any window is a row of zeros, so that a pause is seen. Windows count where they start.
    """
    columns = ["bucket_start", "windows", "readings", "readings_per_second", "machines"]
    found = lake.read(
        stores.lake,
        """select time_bucket(to_seconds($bucket), window_start) as bucket_start, count(*) as windows,
                  sum("count")::bigint as readings, count(distinct machine_id) as machines
           from windows where window_start >= $since and window_start < $until group by 1 order by 1""",
        {"bucket": bucket, "since": when.since, "until": when.until},
        tables={"windows": when},
    )
    if found.empty:
        return pd.DataFrame(columns=columns)
    step = pd.Timedelta(seconds=bucket)
    found = found.set_index("bucket_start")
    whole = pd.date_range(found.index.min(), found.index.max(), freq=step)
    found = found.reindex(whole, fill_value=0).rename_axis("bucket_start").reset_index()
    # a bucket that the range cuts, or that is still being filled, would look like a fall
    if when.since is not None:
        found = found[found["bucket_start"] >= pd.Timestamp(when.since)]
    if when.until is not None:
        found = found[found["bucket_start"] + step <= pd.Timestamp(when.until)]
    found["readings_per_second"] = found["readings"] / bucket
    return found[columns].reset_index(drop=True)


def machines(stores: Stores) -> list[str]:
    """Every machine that has a window, in alphabetical order."""
    found = lake.read(
        stores.lake, "select distinct machine_id from windows order by 1", tables={"windows": TimeRange()}
    )
    return [str(name) for name in found["machine_id"]]


def machine_series(stores: Stores, machine_id: str, when: TimeRange, *, most_points: int = MOST_POINTS) -> pd.DataFrame:
    """One machine's sensors over time, down-sampled: sensor_id, quantity, unit, bucket_start, mean, min, max, count.

    `mean` is weighted by readings; `min` and `max` are those of the bucket's windows, so no extreme is lost. `quantity`
    is the sensor's from the static data, or the last part of its name where that is missing.
    """
    assert when.since is not None
    assert when.until is not None
    sensors = sensor_limits(stores, machine_id)
    known = dict(zip(sensors["sensor_id"], sensors["quantity"], strict=True))
    each = max(50, most_points // max(1, len(known) or 8))
    bucket = bucket_seconds(when, at_most=each, at_least=window_seconds(stores) or 1.0)
    found = lake.read(
        stores.lake,
        """select sensor_id, any_value(unit) as unit, time_bucket(to_seconds($bucket), window_start) as bucket_start,
                  sum(mean * "count") / sum("count") as mean, min("min") as min, max("max") as max,
                  sum("count")::bigint as count
           from windows where machine_id = $machine and window_end > $since and window_start < $until
           group by sensor_id, 3 order by sensor_id, 3""",
        {"bucket": bucket, "machine": machine_id, "since": when.since, "until": when.until},
        tables={"windows": when},
    )
    found["quantity"] = [known.get(s) or str(s).rsplit("/", 1)[-1] for s in found["sensor_id"]]
    return found[["sensor_id", "quantity", "unit", "bucket_start", "mean", "min", "max", "count"]]


def sensor_limits(stores: Stores, machine_id: str) -> pd.DataFrame:
    """Static data of one machine's sensors: sensor_id, quantity, unit, low_limit, high_limit; empty without any."""
    try:
        return postgres.read(
            stores,
            """select sensor_id, quantity, unit, low_limit, high_limit from sensors
               where machine_id = :machine order by quantity""",
            {"machine": machine_id},
        )
    except QueryError:
        # windows are readable without Postgres; they only lose their limits
        return pd.DataFrame(columns=["sensor_id", "quantity", "unit", "low_limit", "high_limit"])


def last_window_by_sensor(stores: Stores) -> pd.DataFrame:
    """Per sensor over the whole lake: machine_id, sensor_id, unit, last_window_end, windows."""
    return lake.read(
        stores.lake,
        """select machine_id, sensor_id, any_value(unit) as unit, max(window_end) as last_window_end,
                  count(*) as windows
           from windows group by all order by sensor_id""",
        tables={"windows": TimeRange()},
    )
