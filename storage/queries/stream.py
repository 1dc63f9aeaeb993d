"""What the lake says about the stream: late readings, silent and unknown sensors, positions. Live lag is the API's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from storage.queries import lake, postgres
from storage.queries.errors import QueryError
from storage.queries.stores import Stores, TimeRange
from storage.queries.windows import last_window_by_sensor


def late_count(stores: Stores, when: TimeRange) -> int:
    """Late readings of the range, by event time."""
    found = lake.read(
        stores.lake,
        "select count(*) as n from late_readings where event_time >= $since and event_time < $until",
        _span(when),
        tables={"late_readings": when},
    )
    return int(found["n"][0])


def late_by_sensor(stores: Stores, when: TimeRange, *, limit: int = 100) -> pd.DataFrame:
    """Where readings come late: machine_id, sensor_id, readings, worst_seconds (behind the watermark),
    last_event_time."""
    return lake.read(
        stores.lake,
        f"""select machine_id, sensor_id, count(*) as readings,
                   round(max(epoch(watermark) - epoch(window_start)), 1) as worst_seconds,
                   max(event_time) as last_event_time
            from late_readings where event_time >= $since and event_time < $until
            group by all order by readings desc, sensor_id limit {int(limit)}""",  # noqa: S608
        _span(when),
        tables={"late_readings": when},
    )


def late_rate(stores: Stores, when: TimeRange, *, bucket: float) -> pd.DataFrame:
    """Per bucket of event time: bucket_start, readings. Buckets without a late reading are absent."""
    return lake.read(
        stores.lake,
        """select time_bucket(to_seconds($bucket), event_time) as bucket_start, count(*) as readings
           from late_readings where event_time >= $since and event_time < $until group by 1 order by 1""",
        _span(when) | {"bucket": bucket},
        tables={"late_readings": when},
    )


def positions(stores: Stores) -> pd.DataFrame:
    """How far the lake is, by partition: topic, partition, last_offset, last_window_end, windows, machines."""
    return lake.read(
        stores.lake,
        """select topic, "partition", max(last_offset) as last_offset, max(window_end) as last_window_end,
                  count(*) as windows, count(distinct machine_id) as machines
           from windows group by all order by topic, "partition" """,
        tables={"windows": TimeRange()},
    )


@dataclass(frozen=True, kw_only=True)
class SensorStates:
    """`sensors`: machine_id, sensor_id, quantity, unit, state (`silent`, `never seen`, `unknown`), last_window_end,
    behind_seconds.

    Only sensors that need a look are listed; `total` counts all. `static_data` is False where Postgres holds no sensors
    (or is away; `problem` says so): then nothing can be called unknown.
    """

    sensors: pd.DataFrame
    total: int
    static_data: bool
    problem: str | None = None


def sensor_states(stores: Stores, *, silent_after: timedelta) -> SensorStates:
    """Sensors whose newest window ends more than `silent_after` before the lake's newest, and those not known."""
    columns = ["machine_id", "sensor_id", "quantity", "unit", "state", "last_window_end", "behind_seconds"]
    seen = last_window_by_sensor(stores)
    problem = None
    try:
        known = postgres.read(stores, "select machine_id, sensor_id, quantity, unit from sensors order by sensor_id")
    except QueryError as error:
        problem = str(error)
        known = pd.DataFrame(columns=["machine_id", "sensor_id", "quantity", "unit"])
    both = seen.merge(known, on="sensor_id", how="outer", suffixes=("", "_known"), indicator="where")
    if both.empty:
        return SensorStates(sensors=pd.DataFrame(columns=columns), total=0, static_data=False, problem=problem)
    for column in ("machine_id", "unit"):
        both[column] = both[column].astype(object).where(both[column].notna(), both[f"{column}_known"])
    newest = seen["last_window_end"].max()
    both["behind_seconds"] = (newest - both["last_window_end"]).dt.total_seconds() if len(seen) else None
    static_data = not known.empty
    both["state"] = [
        _state(str(where), behind, silent_after.total_seconds(), static_data)
        for where, behind in zip(both["where"], both["behind_seconds"], strict=True)
    ]
    listed = both[both["state"] != "ok"].sort_values(["state", "sensor_id"])[columns].reset_index(drop=True)
    return SensorStates(sensors=listed, total=len(both), static_data=static_data, problem=problem)


def _state(where: str, behind: float, silent_after: float, static_data: bool) -> str:
    if where == "right_only":
        return "never seen"
    if behind > silent_after:
        return "silent"
    return "unknown" if where == "left_only" and static_data else "ok"


def _span(when: TimeRange) -> dict[str, object]:
    return {"since": when.since, "until": when.until}
