"""Versions of the static data that a stream joins: read from Postgres, kept by content, so that a restart has the same.

A version is the hash of what was read. It lies in `<folder>/<version>.arrow`, complete and on disk before any commit
names it, and is never changed nor deleted: a version is small, and there is one for each change of the plant's data.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.errors import TryAgain
from scoring import errors as scoring_errors
from storage.durability import write_whole
from storage.inputs.static_tables import JOINABLE, arrow_schema
from storage.postgres.engine import transaction

log = logging.getLogger(__name__)

Columns = Mapping[str, Sequence[str]]
Tables = Mapping[str, pa.Table]

LOOK_EVERY = timedelta(seconds=10)
"""How often Postgres is asked whether the static data has changed; only when there is something to commit."""


class StaticVersions:
    """The static tables of one definition.

    columns  table -> the columns that are needed
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        folder: Path,
        columns: Columns,
        *,
        every: timedelta = LOOK_EVERY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._columns = columns
        self._every = every.total_seconds()
        self._monotonic = monotonic
        self._newest: str | None = None
        self._looked_at = 0.0

    def newest(self) -> str:
        """Look at most every LOOK_EVERY; where Postgres is away the last known stays. Raises TryAgain if none is."""
        now = self._monotonic()
        if self._newest is not None and now - self._looked_at < self._every:
            return self._newest
        self._looked_at = now
        try:
            data = _packed(read_tables(self._engine(), self._columns))
        except (scoring_errors.TryAgain, sa.exc.SQLAlchemyError) as error:
            if self._newest is None:
                raise TryAgain(f"the static data that the stream joins cannot be read: {error}") from error
            log.warning("the static data cannot be read now, the last known is joined: %s", error)
            return self._newest
        version = hashlib.sha256(data).hexdigest()[:32]
        if version != self._newest:
            self._keep(version, data)
            log.info("static data of version %s is joined from the next commit on", version)
            self._newest = version
        return version

    def tables(self, version: str) -> Tables:
        """Raises TryAgain where the version's file is gone or damaged."""
        path = self._path(version)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise TryAgain(
                f"the static data {path.name} that the stream's state names is not in {path.parent}"
            ) from None
        if hashlib.sha256(data).hexdigest()[:32] != version:
            raise TryAgain(f"the static data {path} is damaged: its content has another hash")
        return _unpacked(data)

    def _keep(self, version: str, data: bytes) -> None:
        path = self._path(version)
        if path.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)

    def _path(self, version: str) -> Path:
        return self._folder / f"{version}.arrow"


def read_tables(engine: Engine, columns: Columns) -> Tables:
    """The columns of each table, all as of one moment, ordered by key."""
    found = {}
    with transaction(engine, isolation="REPEATABLE READ", read_only=True) as connection:
        for name in sorted(columns):
            table = JOINABLE[name]
            chosen = sa.select(*(table.c[column] for column in columns[name])).order_by(*table.primary_key.columns)
            rows = [dict(row) for row in connection.execute(chosen).mappings()]
            schema = arrow_schema(table)
            found[name] = pa.Table.from_pylist(
                rows, schema=pa.schema([schema.field(column) for column in columns[name]])
            )
    return found


def _packed(tables: Tables) -> bytes:
    fields = [pa.field(name, pa.binary()) for name in sorted(tables)]
    row = pa.record_batch([pa.array([_stream(tables[f.name])]) for f in fields], schema=pa.schema(fields))
    return _stream(pa.Table.from_batches([row]))


def _unpacked(data: bytes) -> Tables:
    row = _table(data)
    return {name: _table(row[name][0].as_buffer()) for name in row.column_names}


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def _table(data: Any) -> pa.Table:
    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()
