"""The whole at a glance: how fresh each table is, and the figures of the last day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from storage.lake.tables import TABLES
from storage.queries import jobs, lake, postgres
from storage.queries.postgres import as_time
from storage.queries.stores import Stores

_NEWEST = {
    "windows": "window_end",
    "late_readings": "event_time",
    "predictions": "window_end",
    "faults": "ends_at",
    "letter_decisions": "decided_at",
    "alerts": "raised_at",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDay:
    """Jobs of the last 24 hours, counted by when they ENDED; `active` are those that have not ended now."""

    completed: int
    failed: int
    canceled: int
    active: int
    completed_by_hour: tuple[int, ...]

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.canceled


def lake_freshness(stores: Stores) -> pd.DataFrame:
    """A row per lake table: table, rows, files, bytes, version, last_commit (wall clock), newest (event time).

    From the table's log alone; a table that was never written to has no version and 0 rows.
    """
    rows = []
    for name in TABLES:
        of = lake.snapshot(stores.lake, name)
        rows.append(
            {
                "table": name,
                "rows": of.rows,
                "files": of.actions.num_rows,
                "bytes": of.bytes,
                "version": of.version,
                "last_commit": of.last_commit,
                "newest": of.extreme(_NEWEST[name]),
            }
        )
    frame = pd.DataFrame(rows)
    frame["version"] = frame["version"].astype("Int64")
    return postgres.as_times(frame, "last_commit", "newest")


def commits_per_minute(stores: Stores, table: str, *, now: datetime, minutes: int = 30) -> pd.DataFrame:
    """Rows committed to a lake table in each of the last wall-clock minutes: minute, rows; no minute is absent."""
    of = lake.snapshot(stores.lake, table)
    end = pd.Timestamp(now).floor("min")
    index = pd.date_range(end - timedelta(minutes=minutes - 1), end, freq="min")
    frame = of.actions.select(["modification_time", "num_records"]).to_pandas()
    minute = pd.to_datetime(frame["modification_time"], unit="ms", utc=True).dt.floor("min")
    summed: pd.Series[int] = frame.groupby(minute)["num_records"].sum()
    return summed.reindex(index, fill_value=0).rename_axis("minute").reset_index(name="rows")


def job_day(stores: Stores, *, now: datetime) -> JobDay:
    """What jobs did in the 24 hours before `now`."""
    since = now - timedelta(hours=24)
    ended = jobs.ended_by_hour(stores, since=since)
    counts = ended.groupby("status")["jobs"].sum()
    active = postgres.read(
        stores, "select count(*) as n from jobs where status not in ('Completed', 'Failed', 'Canceled')"
    )
    hours = pd.date_range(pd.Timestamp(since).floor("h"), pd.Timestamp(now).floor("h"), freq="h")
    completed = ended[ended["status"] == "Completed"].set_index("hour")["jobs"].reindex(hours, fill_value=0)
    return JobDay(
        completed=int(counts.get("Completed", 0)),
        failed=int(counts.get("Failed", 0)),
        canceled=int(counts.get("Canceled", 0)),
        active=int(active["n"][0]),
        completed_by_hour=tuple(int(n) for n in completed),
    )


def last_failures(stores: Stores, *, since: datetime, limit: int = 5) -> pd.DataFrame:
    """Jobs that failed since then, the newest first: name, endpoint_name, status_reason, ended_at."""
    found = postgres.read(
        stores,
        """select name, endpoint_name, status_reason, ended_at from jobs
           where status = 'Failed' and ended_at >= :since order by ended_at desc limit :limit""",
        {"since": since, "limit": limit},
    )
    return postgres.as_times(found, "ended_at")


def unscored_since(stores: Stores) -> datetime | None:
    """End of the newest window that has a prediction; windows after it wait to be scored. None without predictions."""
    found = postgres.read(stores, "select max(window_end) as t from predictions")
    return as_time(found["t"][0])
