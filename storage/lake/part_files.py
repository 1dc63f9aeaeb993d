"""Statistics of a part file as the Delta log keeps them, by which readers pass files over."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.lake.tables import DATE

PART_FILE_ORDER = ("machine_id", "window_start", "revision", "sensor_id", "partition", "offset")
"""A part file is sorted by those of them that it has: the rows of one revision of a machine's window lie together."""

_COLUMNS = ("machine_id", "sensor_id", "window_start", "window_end", "event_time", "raised_at", "job_name", "revision")


def dated(rows: pa.Table, column: str) -> pa.Table:
    """The rows with the partition column: the UTC date of `column`."""
    return rows.append_column(DATE, rows[column].cast(pa.date32()))


def statistics(rows: pa.Table) -> dict[str, Any]:
    """Rows, and least, greatest and nulls of the columns that are asked for: ids, times, revisions."""
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in _COLUMNS:
        if name in rows.column_names:
            nulls[name] = rows[name].null_count
            extremes = pc.min_max(rows[name])
            if extremes["min"].is_valid:
                least[name] = _plain(extremes["min"].as_py())
                greatest[name] = _plain(extremes["max"].as_py())
    return {"numRecords": rows.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}


def _plain(value: Any) -> Any:
    # timestamps as the Delta protocol writes them
    return value if isinstance(value, str | int) else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
