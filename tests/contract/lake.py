"""Small lake tables for suites."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from storage.lake.tables import WINDOWS

START = datetime(2026, 3, 1, tzinfo=UTC)


def window_rows(
    rows: int, *, first: int = 0, day: date = date(2026, 3, 1), machine: str = "north-pump-01", revision: int = 0
) -> pa.Table:
    """Rows of the windows table, numbered from `first` in `first_offset`."""
    count = range(first, first + rows)
    starts = [START + timedelta(minutes=n) for n in count]
    columns = {
        "machine_id": [machine] * rows,
        "sensor_id": [f"{machine}/flow"] * rows,
        "window_start": starts,
        "window_end": [start + timedelta(minutes=1) for start in starts],
        "unit": ["m3/h"] * rows,
        "count": [60] * rows,
        "topic": ["sensor-readings"] * rows,
        "partition": [0] * rows,
        "first_offset": list(count),
        "last_offset": list(count),
        "revision": [revision] * rows,
        "date": [day] * rows,
    }
    for name in ("mean", "min", "max", "stddev", "last", "median", "p95"):
        columns[name] = [float(n) for n in count]
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in WINDOWS.schema}, WINDOWS.schema)


def append(folder: Path, rows: pa.Table) -> int:
    """One commit; returns the table's version."""
    write_deltalake(str(folder), rows, mode="append", partition_by=["date"])
    return int(DeltaTable(str(folder)).version())


def compact(folder: Path) -> int:
    DeltaTable(str(folder)).optimize.compact()
    return int(DeltaTable(str(folder)).version())


def vacuum(folder: Path) -> None:
    """Delete the files that no version of today needs."""
    DeltaTable(str(folder)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
