"""The engine of `tidemill sql`: one SELECT over the lake (`lake.<table>`) and Postgres (`pg.<table>`) together.

DuckDB in this process. Lake tables are scanned where they lie, with filters and columns pushed down; Postgres tables
that the statement names are copied in whole through COPY. By the time the statement runs, DuckDB can reach no file,
no network and no setting: it sees these tables and nothing else.

`lake.windows` has of each window the latest revision, `lake.windows_revisions` every row; so have the tables of defined
streams, `lake.<table>` and `lake.<table>_revisions`.

A bare name is the Postgres table where both have one: `predictions` is Postgres', `lake.predictions` the lake's.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ingestion.definition import REVISIONS_SUFFIX
from storage.lake.stream_tables import defined_tables, key_of
from storage.lake.tables import TABLES, LakeTable
from storage.postgres.tables import metadata
from storage.queries import postgres
from storage.queries.errors import InvalidQuery, LimitReached, StoreAway
from storage.queries.lake import columns_sql, connect, latest_windows, snapshot
from storage.queries.stores import Stores

ALLOWED = "one SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES or EXPLAIN of these"
_EXPLAIN = re.compile(r"^\s*explain(\s+analyze)?(\s*\([^)]*\))?\s+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that can be named: `schema` is `lake` or `pg`; `table` is what it shows of the lake."""

    schema: str
    name: str
    columns: pa.Schema
    table: LakeTable | None = None

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`rows` holds at most `max_rows`; `truncated` says that there were more. `seconds` is wall time."""

    rows: pa.Table
    truncated: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """What can be named now; `away` says in a sentence why a whole schema is missing."""

    tables: tuple[Table, ...]
    away: dict[str, str]

    def find(self, schema: str, name: str) -> Table | None:
        wanted = name.casefold()
        schemas = (schema.casefold(),) if schema else ("pg", "lake")
        return next((t for s in schemas for t in self.tables if t.schema == s and t.name.casefold() == wanted), None)


def catalog(stores: Stores) -> Catalog:
    """Every table of both stores. A store that is away is a sentence in `away`, not an error."""
    away: dict[str, str] = {}
    tables = []
    for name, of in {**TABLES, **defined_tables(stores.lake)}.items():
        names = [name, name + REVISIONS_SUFFIX] if key_of(of.schema) else [name]
        tables += [Table(schema="lake", name=shown, columns=of.schema, table=of) for shown in names]
    try:
        found = postgres.table_schemas(stores)
        tables += [Table(schema="pg", name=name, columns=columns) for name, columns in found.items()]
        if not found:
            away["pg"] = "the database has no tables yet; run `tidemill migrate`"
    except StoreAway as error:
        away["pg"] = str(error)
    if not stores.lake.is_dir():
        away["lake"] = f"there is no lake in {stores.lake} yet; nothing has been streamed"
    return Catalog(tables=tuple(tables), away=away)


def query(
    stores: Stores,
    statement: str,
    *,
    max_rows: int | None = 10_000,
    timeout_seconds: float = 60.0,
    memory_limit: str = "2GB",
) -> Answer:
    """The rows of one read-only statement. Raises InvalidQuery, StoreAway or LimitReached, each in one line."""
    began = time.monotonic()
    connection = connect(memory_limit)
    try:
        with _time_limit(connection, timeout_seconds):
            named = _named_tables(connection, statement)
            known = catalog(stores)
            _create_tables(connection, stores, known, named, deadline=began + timeout_seconds)
            _shut(connection)
            rows, truncated = _rows(connection, statement, max_rows)
    except duckdb.InterruptException as error:
        raise LimitReached(f"the query was ended after {timeout_seconds:g} s; give it more with --timeout") from error
    except duckdb.OutOfMemoryException as error:
        raise LimitReached(f"the query needs more than {memory_limit} of memory") from error
    except duckdb.Error as error:
        raise InvalidQuery(_one_line(error)) from error
    finally:
        connection.close()
    return Answer(rows=rows, truncated=truncated, seconds=time.monotonic() - began)


def _named_tables(connection: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[str, str]]:
    """(schema or "", name) of every table in the syntax tree. Raises InvalidQuery for what is no read."""
    select = _EXPLAIN.sub("", statement, count=1)
    found = connection.execute("select json_serialize_sql(?::varchar)", [select]).fetchone()
    assert found is not None
    tree = json.loads(found[0])
    if tree.get("error"):
        message = str(tree.get("error_message", "cannot be read"))
        if tree.get("error_type") == "not implemented":
            message = f"only reads are possible here: {ALLOWED}"
        raise InvalidQuery(_one_line(message))
    if len(tree["statements"]) != 1:
        raise InvalidQuery(f"{len(tree['statements'])} statements were given; allowed: {ALLOWED}")
    return list(dict.fromkeys(_base_tables(tree)))


def _base_tables(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            yield str(node.get("schema_name") or ""), str(node["table_name"])
        for child in node.values():
            yield from _base_tables(child)
    elif isinstance(node, list):
        for child in node:
            yield from _base_tables(child)


def _create_tables(
    connection: duckdb.DuckDBPyConnection,
    stores: Stores,
    known: Catalog,
    named: list[tuple[str, str]],
    *,
    deadline: float,
) -> None:
    """Both schemas with every table's columns; rows only for the tables that are named."""
    connection.execute("create schema lake; create schema pg; create schema sources; set search_path = 'pg,lake'")
    wanted = set()
    for schema, name in named:
        if schema in ("", "pg") and "pg" in known.away:
            _refuse_postgres(schema, name, known.away["pg"])
        table = known.find(schema, name)
        if table is not None:
            wanted.add(str(table))
    for table in known.tables:
        if str(table) not in wanted:
            columns = columns_sql(table.columns)
            connection.execute(f'create table {table.schema}."{table.name}" ({columns})')
            continue
        if table.schema == "lake" and "lake" in known.away:
            raise StoreAway("lake", known.away["lake"])
        rows = _lake_rows(stores, table) if table.schema == "lake" else _postgres_rows(stores, table, deadline)
        source = f"{table.schema}_{table.name}"
        connection.register(source, rows)
        clause = f'memory.main."{source}"'
        if _is_latest(table) and snapshot(stores.lake, table.name).has_revisions:
            clause = latest_windows(clause, key_of(table.columns))
        connection.execute(f'create view {table.schema}."{table.name}" as select * from {clause}')  # noqa: S608


def _is_latest(table: Table) -> bool:
    """Does it show of each window the latest revision alone?"""
    return table.table is not None and table.table.name == table.name and bool(key_of(table.columns))


def _refuse_postgres(schema: str, name: str, reason: str) -> None:
    """Raises StoreAway where the name means a Postgres table; else it is the lake's, or the statement's own."""
    if schema == "pg" or name.casefold() in metadata.tables:
        instead = f" (lake.{name} is the lake's)" if name.casefold() in TABLES else ""
        raise StoreAway("postgres", f"{name} is a Postgres table{instead}, and {reason}")


def _lake_rows(stores: Stores, table: Table) -> Any:
    assert table.table is not None
    folder = table.table.path(stores.lake)
    if not (folder / "_delta_log").is_dir():
        return table.columns.empty_table()
    try:
        return DeltaTable(str(folder)).to_pyarrow_dataset()
    except (DeltaError, OSError) as error:
        raise StoreAway("lake", f"the lake table {table.name} cannot be read: {_one_line(error)}") from error


def _postgres_rows(stores: Stores, table: Table, deadline: float) -> pa.Table:
    left = deadline - time.monotonic()
    if left <= 0:
        raise LimitReached("the time limit was reached before the tables were read; give it more with --timeout")
    return postgres.fetch_table(stores, table.name, table.columns, seconds=left)


def _shut(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _rows(connection: duckdb.DuckDBPyConnection, statement: str, max_rows: int | None) -> tuple[pa.Table, bool]:
    """At most `max_rows`, fetched batch by batch, so that a huge answer never lies in memory whole."""
    reader = connection.sql(statement)
    if reader is None:
        return pa.table({}), False
    batches: list[pa.RecordBatch] = []
    count = 0
    stream = reader.to_arrow_reader(10_000)
    for batch in stream:
        batches.append(batch)
        count += batch.num_rows
        if max_rows is not None and count > max_rows:
            break
    rows = pa.Table.from_batches(batches, schema=stream.schema)
    return (rows.slice(0, max_rows), True) if max_rows is not None and count > max_rows else (rows, False)


@contextlib.contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _one_line(error: object) -> str:
    """DuckDB's message without its drawing of the statement; its hint kept."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("LINE ", "^"))]
    return " ".join(kept) if kept else "the statement cannot be read"
