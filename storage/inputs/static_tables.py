"""Static tables as Parquet files, for workers to join with: all as they were at one moment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage.postgres.engine import transaction
from storage.postgres.tables import machines, sensors, sites

JOINABLE: Mapping[str, sa.Table] = {table.name: table for table in (sensors, machines, sites)}

_ARROW: Mapping[type, pa.DataType] = {
    sa.Text: pa.string(),
    sa.Float: pa.float64(),
    sa.Date: pa.date32(),
    sa.DateTime: pa.timestamp("us", tz="UTC"),
}


def arrow_schema(table: sa.Table) -> pa.Schema:
    """The table's columns as Arrow has them."""
    return pa.schema([pa.field(c.name, _ARROW[type(c.type)], nullable=bool(c.nullable)) for c in table.columns])


def write_snapshot(engine: Engine, names: Sequence[str], folder: Path) -> None:
    """Write `<folder>/<name>.parquet` for each table, read in one repeatable-read transaction, ordered by key."""
    folder.mkdir(parents=True, exist_ok=True)
    with transaction(engine, isolation="REPEATABLE READ", read_only=True) as connection:
        for name in names:
            table = JOINABLE[name]
            ordered = sa.select(table).order_by(*table.primary_key.columns)
            rows = [dict(row) for row in connection.execute(ordered).mappings()]
            _write_whole(pa.Table.from_pylist(rows, schema=arrow_schema(table)), folder / f"{name}.parquet")


def _write_whole(table: pa.Table, path: Path) -> None:
    half = path.with_suffix(".tmp")
    pq.write_table(table, half)
    with half.open("rb") as written:
        os.fsync(written.fileno())
    half.replace(path)
