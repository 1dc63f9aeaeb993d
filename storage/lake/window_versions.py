"""A table's versions one by one, as the evaluation of alerts reads them: the rows that each gained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.alerts.ports import Version
from ingestion.errors import InvalidInput, TryAgain
from storage.durability import fsync_file, fsync_folder
from storage.lake.changes import current_version
from storage.lake.table_log import actions


class WindowVersions:
    """Of one table. An entry is read once it is on disk: what a power cut could take back was never told."""

    def __init__(self, lake_root: Path, table: str) -> None:
        self._folder = lake_root / table
        self._log = self._folder / "_delta_log"

    def newest(self) -> int | None:
        """None where there is no table."""
        return current_version(self._folder)

    def read(self, version: int, columns: Sequence[str]) -> Version | None:
        """What the version gained, of these columns; None where it is not there.

        Raises InvalidInput where its rows are gone, TryAgain where the disk does not answer.
        """
        entry = self._log / f"{version:020}.json"
        try:
            fsync_file(entry)
        except FileNotFoundError:
            return None
        fsync_folder(self._log)
        parts: list[pa.Table] = []
        committed = 0
        for action in actions(entry):
            added = action.get("add")
            if added and added.get("dataChange", True):
                parts.append(_rows(self._folder / unquote(added["path"]), columns))
                committed = max(committed, int(added["modificationTime"]) * 1000)
        rows = pa.concat_tables(parts, promote_options="default") if parts else pa.table({})
        return Version(rows=rows, committed_us=committed)


def _rows(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        there = set(file.schema_arrow.names)
        rows = file.read(columns=[name for name in columns if name in there])
    except FileNotFoundError:
        raise InvalidInput(f"the part file {path} is gone, so the alerts on its windows cannot be told") from None
    except OSError as error:
        raise TryAgain(f"the part file {path} cannot be read now: {error}") from error
    for name in columns:
        if name not in there:
            # written before there was such a column
            rows = rows.append_column(name, pa.nulls(rows.num_rows, _TYPES.get(name, pa.null())))
    return rows


_TYPES = {"revision": pa.int32()}
