"""Reads of the Delta lake: the file list of one table version, and DuckDB over exactly those files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ingestion.definition import REVISIONS_SUFFIX
from storage.lake.stream_tables import defined_tables, key_of
from storage.lake.tables import TABLES, LakeTable
from storage.queries.errors import LimitReached, QueryError, StoreAway
from storage.queries.stores import EVERYTHING, TimeRange

MEMORY_LIMIT = "1GB"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One version of a table.

    version   None where the table has never been written to
    actions   a row per part file: path, num_records, size_bytes, modification_time (ms since 1970), `min.<column>`,
              `max.<column>`
    """

    table: LakeTable
    root: Path
    version: int | None
    actions: pa.Table

    @property
    def rows(self) -> int:
        return int(pc.sum(self.actions["num_records"]).as_py() or 0) if self.actions.num_rows else 0

    @property
    def bytes(self) -> int:
        return int(pc.sum(self.actions["size_bytes"]).as_py() or 0) if self.actions.num_rows else 0

    @property
    def last_commit(self) -> datetime | None:
        """Wall-clock time at which the newest part file was written."""
        if not self.actions.num_rows:
            return None
        return datetime.fromtimestamp(pc.max(self.actions["modification_time"]).as_py() / 1000, UTC)

    @property
    def has_revisions(self) -> bool:
        """Whether any window was corrected, from the files' statistics."""
        name = "max.revision"
        return name in self.actions.column_names and (pc.max(self.actions[name]).as_py() or 0) > 0

    def extreme(self, column: str) -> datetime | None:
        """The greatest value of `column`, from the files' statistics; None where they have none."""
        name = f"max.{column}"
        if name not in self.actions.column_names:
            return None
        value: datetime | None = pc.max(self.actions[name]).as_py()
        return value

    def files(self, when: TimeRange = EVERYTHING, *, starts: str, ends: str) -> list[str]:
        """Absolute paths of the files that can hold rows of `when`; a file without statistics always can."""
        keep = pa.array([True] * self.actions.num_rows)
        names = self.actions.column_names
        if when.since is not None and f"max.{ends}" in names:
            keep = pc.and_(keep, pc.fill_null(pc.greater_equal(self.actions[f"max.{ends}"], when.since), True))
        if when.until is not None and f"min.{starts}" in names:
            keep = pc.and_(keep, pc.fill_null(pc.less(self.actions[f"min.{starts}"], when.until), True))
        chosen = self.actions.filter(keep) if self.actions.num_rows else self.actions
        folder = self.table.path(self.root)
        return [str(folder / path) for path in chosen["path"].to_pylist()]


def latest_windows(source: str, key: Sequence[str] = ("sensor_id",)) -> str:
    """A FROM clause with those rows of `source`, a name of all the windows' rows, that no greater revision replaces.

    key  columns by which the rows of a window's revisions are the same window's

    Rows from before there were revisions are of revision 0. Only the rows of corrections are looked up.
    """
    same = " and ".join(f'r."{column}" = w."{column}"' for column in (*key, "window_start"))
    return f"""(select w.* from {source} w where not exists (
        select 1 from {source} r where r.revision > 0 and r.revision > coalesce(w.revision, 0)
        and {same}))"""  # noqa: S608


_SPANS = {
    "windows": ("window_start", "window_end"),
    "late_readings": ("event_time", "event_time"),
    "predictions": ("window_start", "window_end"),
    "faults": ("starts_at", "ends_at"),
    "letter_decisions": ("decided_at", "decided_at"),
    "alerts": ("raised_at", "raised_at"),
}


def snapshot(root: Path, name: str) -> Snapshot:
    """The current version of the lake's table `name`, tidemill's own or a defined stream's.

    Raises StoreAway when the files cannot be read, KeyError for a name that is no table's.
    """
    table = TABLES[name] if name in TABLES else defined_tables(root)[name]
    folder = table.path(root)
    nothing = pa.table(
        {"path": pa.array([], pa.string()), "num_records": pa.array([], pa.int64()),
         "size_bytes": pa.array([], pa.int64()), "modification_time": pa.array([], pa.int64())}
    )  # fmt: skip
    if not (folder / "_delta_log").is_dir():
        return Snapshot(table=table, root=root, version=None, actions=nothing)
    try:
        delta = DeltaTable(str(folder))
        actions = pa.table(delta.get_add_actions(flatten=True))
        return Snapshot(table=table, root=root, version=delta.version(), actions=actions)
    except (DeltaError, OSError) as error:
        raise StoreAway("lake", f"the lake table {name} cannot be read: {_first_line(error)}") from error


def read(
    root: Path,
    sql: str,
    parameters: Mapping[str, object] | None = None,
    *,
    tables: Mapping[str, TimeRange],
    frames: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """The answer of `sql` over the lake's `tables` (bare names), each pruned to the files of its time range.

    `frames` are joined in under their names. Times in the answer are UTC-aware. Raises StoreAway, LimitReached.
    """
    connection = connect()
    try:
        for name, when in tables.items():
            _create_view(connection, snapshot(root, name), when)
        for name, frame in (frames or {}).items():
            connection.register(name, frame)
        answer: pd.DataFrame = connection.sql(sql, params=dict(parameters or {})).to_arrow_table().to_pandas()
        return answer
    except duckdb.OutOfMemoryException as error:
        raise LimitReached(
            f"the query needs more than {MEMORY_LIMIT} of memory; ask for a shorter time range"
        ) from error
    except duckdb.IOException as error:
        # a part file that went between listing and reading: a vacuum or a reset
        raise StoreAway("lake", f"the lake changed while it was read: {_first_line(error)}") from error
    except duckdb.Error as error:
        raise QueryError(f"the lake's answer failed: {_first_line(error)}") from error
    finally:
        connection.close()


def connect(memory_limit: str = MEMORY_LIMIT) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that never reaches for the network and speaks UTC."""
    connection = duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "threads": 2,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
    )
    connection.execute("set TimeZone = 'UTC'")
    return connection


def columns_sql(schema: pa.Schema) -> str:
    """A DuckDB column list for an empty table of this schema."""
    return ", ".join(f'"{field.name}" {_duck_type(field.type)}' for field in schema)


def span_of(table: LakeTable) -> tuple[str, str]:
    """The columns by which a row's time begins and ends."""
    if table.name in _SPANS:
        return _SPANS[table.name]
    return ("window_start", "window_end") if key_of(table.schema) else ("event_time", "event_time")


def _create_view(connection: duckdb.DuckDBPyConnection, of: Snapshot, when: TimeRange) -> None:
    starts, ends = span_of(of.table)
    files = of.files(when, starts=starts, ends=ends)
    name = of.table.name
    if not files:
        connection.execute(f'create table "{name}" ({columns_sql(of.table.schema)})')
        return
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    # the paths are the table's own, and quoted
    source = f"read_parquet([{listed}], union_by_name=true, hive_partitioning=true, hive_types={{'date': date}})"
    if of.has_revisions:
        # files from before there were revisions have no such column
        every = f"select * from {source} union all by name (select null::integer as revision limit 0)"  # noqa: S608
        connection.execute(f'create view "{name}{REVISIONS_SUFFIX}" as {every}')
        source = latest_windows(f'"{name}{REVISIONS_SUFFIX}"', key_of(of.table.schema))
    connection.execute(f'create view "{name}" as select * from {source}')  # noqa: S608


def _duck_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    known = {
        pa.string(): "varchar", pa.large_string(): "varchar", pa.float64(): "double", pa.float32(): "float",
        pa.int64(): "bigint", pa.int32(): "integer", pa.int16(): "smallint", pa.int8(): "tinyint",
        pa.bool_(): "boolean", pa.date32(): "date", pa.binary(): "blob",
    }  # fmt: skip
    return known.get(kind, "varchar")


def _first_line(error: BaseException) -> str:
    text: Any = str(error).strip()
    return str(text.splitlines()[0]) if text else type(error).__name__
