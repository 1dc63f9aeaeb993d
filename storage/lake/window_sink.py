"""The lake behind `ingestion.ports.WindowSink`: windows, position and state in one Delta commit, exactly once.

The order of a commit, and why nothing is lost or doubled wherever it is cut:

1. Late readings go to `late_readings`, with a transaction of their own that says up to which offset they are written.
   Cut here, the restarted worker folds the same readings again and writes only those beyond that offset.
2. States of the open windows go to content-addressed files, part files of rows into the table's folder; both are on
   disk (fsync of file and folder). Cut here, no log entry names them: they are rubbish.
3. One log entry adds the part files, the next offset and the state's hash of every partition that moved. The log's
   put-if-absent makes it atomic.

Fencing: before step 3 the positions of the snapshot that we commit on must be those that this sink restored or
committed last, and delta-rs refuses the commit if another with one of the same application ids came in between. Both
raise Fenced.

Power loss: delta-rs writes a log entry to a temporary file and renames it, without fsync; the sink syncs entry and
folder right after. A power cut in between may lose the last commit or leave its entry empty, never reorder older ones.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from ingestion.checkpoint import Checkpoint
from ingestion.errors import Fenced, TryAgain
from ingestion.ports import WindowCommit
from ingestion.steps import Listener, unheard
from storage.durability import fsync_file, fsync_folder
from storage.lake.creation import opened
from storage.lake.part_files import PART_FILE_ORDER, dated, statistics
from storage.lake.stream_state import (
    PartitionIds,
    read_state,
    remove_superseded,
    supersede,
    write_state,
)
from storage.lake.tables import LATE_READINGS, WINDOWS, LakeTable
from storage.lake.torn_checkpoints import remove_torn_checkpoints

CHECKPOINT_INTERVAL = 25
"""Delta commits between two checkpoints of the log, so that opening and committing do not slow down with its length."""


CONFIGURATION = {
    "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
    # checkpoints would name every file that was joined into another for a week: a commit a second, a file each
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    # by age alone; what schedules still need is known to `vacuum`
    "delta.enableExpiredLogCleanup": "false",
}


class LakeWindowSink:
    """Commits one stream's partitions. One per worker process; not for several threads at once."""

    def __init__(
        self,
        *,
        lake_root: Path,
        state_root: Path,
        stream: str,
        topic: str,
        windows: LakeTable = WINDOWS,
        late: LakeTable = LATE_READINGS,
        step: Listener = unheard,
    ) -> None:
        self._state_root = state_root
        self._stream = stream
        self._topic = topic
        self._step = step
        self._windows = AppendTable(
            lake_root,
            windows,
            wrote_part=lambda: step("part on disk"),
            wrote_entry=lambda: step("entry written"),
        )
        self._late = AppendTable(
            lake_root,
            late,
            wrote_part=lambda: step("late part on disk"),
            wrote_entry=lambda: step("late entry written"),
        )
        self._positions: dict[int, int | None] = {}
        self._late_positions: dict[int, int | None] = {}
        self._hashes: dict[int, int] = {}

    def restore(self, partition: int) -> Checkpoint | None:
        ids = self._ids(partition)
        self._windows.refresh()
        self._late.refresh()
        position = self._windows.version_of(ids.position)
        state_hash = self._windows.version_of(ids.state)
        self._positions[partition] = position
        self._late_positions[partition] = self._late.version_of(ids.position)
        if position is None or state_hash is None:
            return None
        state = read_state(self._state_root, ids, state_hash)
        self._hashes[partition] = state_hash
        remove_superseded(self._state_root, ids, state_hash)
        return Checkpoint(partition=partition, next_offset=position, state=state)

    def commit(self, commit: WindowCommit) -> None:
        self._write_late(commit)
        hashes = {
            c.partition: write_state(self._state_root, self._ids(c.partition), c.state, step=self._step)
            for c in commit.checkpoints
        }
        self._windows.refresh()
        for checkpoint in commit.checkpoints:
            self._check_unmoved(self._windows, checkpoint.partition, self._positions)
        transactions = []
        for checkpoint in commit.checkpoints:
            ids = self._ids(checkpoint.partition)
            transactions.append(Transaction(ids.position, checkpoint.next_offset))
            transactions.append(Transaction(ids.state, hashes[checkpoint.partition]))
        self._windows.append(dated(commit.windows, "window_start"), transactions)
        self._step("entry on disk")
        for checkpoint in commit.checkpoints:
            partition = checkpoint.partition
            self._positions[partition] = checkpoint.next_offset
            if partition in self._hashes:
                supersede(self._state_root, self._ids(partition), self._hashes[partition])
            self._hashes[partition] = hashes[partition]
            remove_superseded(self._state_root, self._ids(partition), hashes[partition])

    def _write_late(self, commit: WindowCommit) -> None:
        """Late readings that are not in the table yet, and how far they are."""
        if commit.late.num_rows == 0:
            return
        partition, offset = commit.late["partition"], commit.late["offset"]
        fresh = []
        moved = []
        for checkpoint in commit.checkpoints:
            written = self._late_positions[checkpoint.partition] or 0
            mine = commit.late.filter(
                pc.and_(pc.equal(partition, checkpoint.partition), pc.greater_equal(offset, written))
            )
            if mine.num_rows:
                fresh.append(mine)
                moved.append(checkpoint)
        if not fresh:
            return
        self._late.refresh()
        for checkpoint in moved:
            self._check_unmoved(self._late, checkpoint.partition, self._late_positions)
        transactions = [Transaction(self._ids(c.partition).position, c.next_offset) for c in moved]
        self._late.append(dated(pa.concat_tables(fresh), "event_time"), transactions)
        self._step("late entry on disk")
        for checkpoint in moved:
            self._late_positions[checkpoint.partition] = checkpoint.next_offset

    def _check_unmoved(self, table: AppendTable, partition: int, expected: dict[int, int | None]) -> None:
        if partition not in expected:
            raise Fenced(f"partition {partition} of {self._topic} was never restored by this sink")
        found = table.version_of(self._ids(partition).position)
        if found != expected[partition]:
            raise Fenced(
                f"partition {partition} of {self._topic} stands at {found} in {table.name}, we left it at "
                f"{expected[partition]}: another worker has taken it over"
            )

    def _ids(self, partition: int) -> PartitionIds:
        return PartitionIds(stream=self._stream, topic=self._topic, partition=partition)


class AppendTable:
    """A Delta table that only grows: part files that are on disk before the log names them.

    Made where it is missing. Raises TryAgain where the lake cannot be written.
    """

    def __init__(
        self,
        root: Path,
        table: LakeTable,
        *,
        wrote_part: Callable[[], None] = lambda: None,
        wrote_entry: Callable[[], None] = lambda: None,
    ) -> None:
        """`wrote_part` and `wrote_entry` are called in between: each part on disk, the entry not yet."""
        self.name = table.name
        self._wrote_part = wrote_part
        self._wrote_entry = wrote_entry
        self._path = table.path(root)
        self._log = self._path / "_delta_log"
        try:
            try:
                self._table = opened(root, table, configuration=CONFIGURATION)
            except DeltaError:
                if not remove_torn_checkpoints(self._path):
                    raise
                self._table = opened(root, table, configuration=CONFIGURATION)
        except (DeltaError, OSError) as error:
            raise TryAgain(f"the lake's table {table.name} in {self._path} cannot be opened: {error}") from error

    def refresh(self) -> None:
        """Look at the newest snapshot; `version_of` and `append` work on it."""
        self._table.update_incremental()

    def version_of(self, application: str) -> int | None:
        version: int | None = self._table.transaction_version(application)
        return version

    def rows(self) -> pa.Table:
        """Every row of the snapshot."""
        return self._table.to_pyarrow_table()

    def append(self, rows: pa.Table, transactions: Sequence[Transaction]) -> None:
        """One commit of rows (partition column included) and transactions. Raises Fenced on a concurrent one."""
        added = [self._write(part, date) for date, part in _by_date(rows)]
        before = self._table.version()
        try:
            self._table.create_write_transaction(
                added,
                mode="append",
                schema=self._table.schema(),
                partition_by=["date"],
                commit_properties=CommitProperties(app_transactions=list(transactions)),
            )
        except CommitFailedError as error:
            raise Fenced(f"{self.name}: {error}") from error
        self._wrote_entry()
        self._sync_log(before)

    def _write(self, rows: pa.Table, date: str) -> AddAction:
        folder = self._path / f"date={date}"
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            fsync_folder(self._path)
        path = folder / f"part-{uuid4()}.zstd.parquet"
        with path.open("wb") as file:
            pq.write_table(rows, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        fsync_folder(folder)
        self._wrote_part()
        return AddAction(
            path=f"date={date}/{path.name}",
            size=size,
            partition_values={"date": date},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps(statistics(rows)),
        )

    def _sync_log(self, before: int) -> None:
        """fsync the entries that our commit may be: the ones after the snapshot that we started from."""
        self._table.update_incremental()
        for version in range(before + 1, self._table.version() + 1):
            for name in (f"{version:020}.json", f"{version:020}.checkpoint.parquet"):
                try:
                    fsync_file(self._log / name)
                except FileNotFoundError:
                    continue  # no checkpoint there, or an entry already cleaned up behind one
        fsync_folder(self._log)


def _by_date(rows: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    """Rows of each date without the partition column, sorted so that a machine's windows lie together."""
    if rows.num_rows == 0:
        return
    order = [name for name in PART_FILE_ORDER if name in rows.column_names]
    for date in sorted(pc.unique(rows["date"]).to_pylist()):
        part = rows.filter(pc.equal(rows["date"], date)).drop_columns(["date"])
        yield date.isoformat(), part.sort_by([(name, "ascending") for name in order])
