"""The adapter of `ingestion.preparation.RowPreparation` on DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy.engine import Engine

from ingestion.definition import StreamDefinition
from ingestion.preparation import Prepared
from storage.preparation.expressions import connection
from storage.preparation.statement import BATCH, ROW, statement_of, static_columns, static_name
from storage.preparation.static_versions import StaticVersions


class DuckRowPreparation:
    """One definition's SELECT. Not for several threads at once.

    engine  of the database with the static tables; called only where the definition joins some
    folder  where versions of them are kept

    Raises InvalidInput where an expression or a join is wrong.
    """

    def __init__(self, definition: StreamDefinition, engine: Callable[[], Engine], folder: Path) -> None:
        self._statement = statement_of(definition)
        columns = static_columns(definition)
        self._versions = StaticVersions(engine, folder, columns) if columns else None
        self._database = connection()
        self._version: str | None = None

    def version(self) -> str:
        return self._versions.newest() if self._versions is not None else ""

    def prepare(self, readings: pa.RecordBatch, offsets: npt.NDArray[np.int64], version: str) -> Prepared:
        self._take_up(version)
        numbered = pa.RecordBatch.from_arrays(
            [*readings.columns, pa.array(np.arange(readings.num_rows))], names=[*readings.schema.names, ROW]
        )
        self._database.register(BATCH, pa.Table.from_batches([numbered]))
        try:
            found = self._database.sql(self._statement.sql).to_arrow_table()
        finally:
            self._database.unregister(BATCH)
        rows = found[ROW].to_numpy()
        if len(rows) > 1 and not (np.diff(rows) > 0).all():
            order = np.argsort(rows, kind="stable")
            found, rows = found.take(pa.array(order)), rows[order]
        table = found.drop_columns([ROW]).cast(self._statement.columns).combine_chunks()
        batches = table.to_batches()
        empty = pa.RecordBatch.from_pylist([], schema=self._statement.columns)
        return Prepared(batches[0] if batches else empty, offsets[rows])

    def _take_up(self, version: str) -> None:
        if self._versions is None or version == self._version:
            return
        for name, table in self._versions.tables(version).items():
            self._load(name, table)
        self._version = version

    def _load(self, name: str, table: pa.Table) -> None:
        self._database.register("arrived", table)
        self._database.execute(f'create or replace table "{static_name(name)}" as select * from arrived')  # noqa: S608
        self._database.unregister("arrived")
