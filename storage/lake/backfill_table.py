"""The lake's tables of a stream as a backfill uses them: what is there, and what it adds, beside the live stream.

The live stream and a backfill append without disturbing each other: their app transactions have different names. Two
backfills of one stream would: each commit carries their number, `backfill/<stream>`, so that of two at once one is
refused; and a lock refuses the second before it begins, as long as both are on one machine.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Transaction
from deltalake.exceptions import DeltaError

from ingestion.errors import Fenced, TryAgain
from storage.lake.part_files import dated
from storage.lake.tables import DATE, LakeTable
from storage.lake.window_sink import AppendTable


class LakeBackfillTable:
    """A BackfillTable on two Delta tables, which are made when there is something to write."""

    def __init__(
        self,
        lake_root: Path,
        *,
        stream: str,
        windows: LakeTable,
        late: LakeTable,
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`step` is told what has been written."""
        self._windows = _Half(lake_root, windows, f"backfill/{stream}", "window_start", step)
        self._late = _Half(lake_root, late, f"backfill/{stream}", "event_time", lambda done: step(f"late {done}"))

    def windows(self, since: datetime, until: datetime) -> pa.Table:
        return self._windows.between(since, until)

    def late(self, since: datetime, until: datetime) -> pa.Table:
        return self._late.between(since, until)

    def add(self, windows: pa.Table | None, late: pa.Table | None) -> None:
        if late is not None:
            self._late.append(late)
        if windows is not None:
            self._windows.append(windows)


class _Half:
    """One of the two tables. `between` looks at its newest version; `append` refuses if a backfill came since."""

    def __init__(
        self, root: Path, table: LakeTable, application: str, moment: str, step: Callable[[str], None]
    ) -> None:
        self._root = root
        self._step = step
        self._table = table
        self._application = application
        self._moment = moment
        self._opened: AppendTable | None = None
        self._number: int | None = None

    def between(self, since: datetime, until: datetime) -> pa.Table:
        schema = pa.schema([field for field in self._table.schema if field.name != DATE.name])
        found = self._found()
        self._note(found)
        if found is None:
            return schema.empty_table()
        moment, date = pc.field(self._moment), pc.field(DATE.name)
        wanted = (moment >= pa.scalar(since)) & (moment < pa.scalar(until))
        wanted = wanted & (date >= pa.scalar(since.date())) & (date <= pa.scalar(until.date()))
        try:
            rows = found.to_pyarrow_dataset().to_table(filter=wanted)
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise TryAgain(f"the lake's table {self._table.name} cannot be read: {error}") from error
        columns = [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in schema
        ]
        return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in schema]))

    def append(self, rows: pa.Table) -> None:
        if self._opened is None:
            self._opened = AppendTable(
                self._root,
                self._table,
                wrote_part=lambda: self._step("part on disk"),
                wrote_entry=lambda: self._step("entry written"),
            )
        self._opened.refresh()
        number = self._number or 0
        if (self._opened.version_of(self._application) or 0) != number:
            raise Fenced(_another(self._table.name))
        self._opened.append(dated(rows, self._moment), [Transaction(self._application, number + 1)])
        self._number = number + 1

    def _note(self, found: DeltaTable | None) -> None:
        number = 0 if found is None else found.transaction_version(self._application) or 0
        if self._number is not None and number != self._number:
            raise Fenced(_another(self._table.name))
        self._number = number

    def _found(self) -> DeltaTable | None:
        path = str(self._table.path(self._root))
        try:
            return DeltaTable(path) if DeltaTable.is_deltatable(path) else None
        except (DeltaError, OSError) as error:
            raise TryAgain(f"the lake's table {self._table.name} cannot be opened: {error}") from error


@contextmanager
def only_backfill(path: Path, table: str) -> Iterator[None]:
    """Hold the lock of a table's backfills. Raises Fenced where another process has it; it ends with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Fenced(_another(table)) from None
        yield


def _another(table: str) -> str:
    return (
        f"another backfill is writing to the lake's table {table}; begin again when it has ended: "
        "what is there by then is not written twice"
    )
