"""Tables of defined streams in SQL, in the lake's reads and as input of jobs: the latest revisions, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.minibatch import InputItem
from storage.inputs.revised_rows import without_replaced
from storage.lake.stream_tables import StreamTables
from storage.queries import lake, sql
from storage.queries.stores import Stores, TimeRange
from tests.contract.lake import append
from tests.streams import a_definition

START = datetime(2026, 3, 1, tzinfo=UTC)
SESSIONS = a_definition(window={"type": "session", "gap": "1m"}, aggregates={"count": "count"})
TABLES = StreamTables.of(SESSIONS)


def a_row(sensor: str, minute: int, revision: int = 0, count: int = 1) -> Mapping[str, Any]:
    start = START + timedelta(minutes=minute)
    return {
        "machine_id": "m",
        "sensor_id": sensor,
        "window_start": start,
        "window_end": start + timedelta(minutes=2),
        "count": count,
        "topic": "t",
        "partition": 0,
        "first_offset": 0,
        "last_offset": 0,
        "revision": revision,
        "date": START.date(),
    }


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """One session corrected once; another of the same machine and start that was not."""
    root = tmp_path / "lake"
    for rows in ([a_row("a", 0), a_row("b", 0), a_row("a", 10)], [a_row("a", 0, revision=1, count=2)]):
        append(TABLES.windows.path(root), pa.Table.from_pylist(rows, schema=TABLES.windows.schema))
    return Stores(lake=root, postgres_url="postgresql+psycopg2://nobody@127.0.0.1:1/none")


LATEST = [("a", 0, 1, 2), ("a", 10, 0, 1), ("b", 0, 0, 1)]


def told(rows: pa.Table) -> list[tuple[str, int, int, int]]:
    return sorted(
        (row["sensor_id"], (row["window_start"] - START) // timedelta(minutes=1), row["revision"], row["count"])
        for row in rows.to_pylist()
    )


def test_sql_shows_the_latest_revisions_and_all_of_them(stores: Stores) -> None:
    assert told(sql.query(stores, "select * from lake.small").rows) == LATEST
    every = sql.query(stores, "select * from lake.small_revisions").rows
    assert told(every) == sorted([*LATEST, ("a", 0, 0, 1)])
    names = {str(table) for table in sql.catalog(stores).tables}
    assert {"lake.small", "lake.small_revisions", "lake.windows", "lake.windows_revisions"} <= names


def test_reads_of_the_lake_know_the_table(stores: Stores) -> None:
    found = lake.read(stores.lake, "select * from small", tables={"small": TimeRange()})
    assert len(found) == 3
    early = lake.read(stores.lake, "select * from small", tables={"small": TimeRange(until=START)})
    assert early.empty
    assert lake.snapshot(stores.lake, "small").rows == 4
    with pytest.raises(KeyError):
        lake.snapshot(stores.lake, "none")


def test_a_job_gets_the_newest_revision_of_each_session(stores: Stores) -> None:
    folder = TABLES.windows.path(stores.lake)
    paths = sorted(folder.rglob("*.parquet"))
    items = [InputItem(uri=str(path), size_bytes=1000, rows=pq.read_metadata(path).num_rows) for path in paths]
    found = []
    for item in without_replaced(items, folder):
        rows = pq.ParquetFile(item.uri).read()
        if item.slice is not None:
            rows = rows.slice(item.slice.start, item.slice.end - item.slice.start)
        found += told(rows)
    assert sorted(found) == LATEST
