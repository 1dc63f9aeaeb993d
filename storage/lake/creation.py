"""A table of the lake, made where it is not there yet: any number of processes may ask at the same moment."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError

from storage.durability import fsync_file, fsync_folder
from storage.lake.tables import DATE, LakeTable

_FIRST_ENTRY = f"{0:020}.json"


def opened(root: Path, table: LakeTable, *, configuration: Mapping[str, str] | None = None) -> DeltaTable:
    """The table below the lake's `root`; created empty, partitioned by date, with `configuration` if it is missing.

    A table of an older version gets the columns that it lacks, which are null in its rows.

    Raises DeltaError or OSError where the lake cannot be read or written.
    """
    folder = table.path(root)
    if not DeltaTable.is_deltatable(str(folder)):
        (folder / "_delta_log").mkdir(parents=True, exist_ok=True)
        _create(folder, table, configuration or {})
    found = DeltaTable(folder)
    return found if not _lacking(found, table) else _widened(folder, table)


def _lacking(found: DeltaTable, table: LakeTable) -> list[pa.Field]:
    names = {field.name for field in found.schema().fields}
    return [field for field in table.schema if field.name not in names]


def _widened(folder: Path, table: LakeTable) -> DeltaTable:
    for attempt in range(3):
        found = DeltaTable(folder)
        lacking = _lacking(found, table)
        if not lacking:
            break
        try:
            found.alter.add_columns(Schema.from_arrow(pa.schema(lacking)).fields)
        except CommitFailedError:
            # another process added them in the same moment, or rows
            if attempt == 2:
                raise
    return DeltaTable(folder)


def _create(folder: Path, table: LakeTable, configuration: Mapping[str, str]) -> None:
    """Give the table's log its first entry, unless another has done so meanwhile.

    delta-rs looks for a table and then creates it: of two who do both at once, one is refused or, worse, commits the
    creation again as version 1, which is a change of metadata to everybody at work. So the table is made aside, and its
    entry linked into place, which succeeds once.
    """
    log = folder / "_delta_log"
    with tempfile.TemporaryDirectory(prefix=".creating-", dir=folder) as aside:
        DeltaTable.create(
            aside, table.schema, partition_by=[DATE.name], name=table.name, configuration=dict(configuration)
        )
        entry = Path(aside, "_delta_log", _FIRST_ENTRY)
        fsync_file(entry)
        try:
            os.link(entry, log / _FIRST_ENTRY)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}:
                raise
            # a file system without hard links: a rename is as good unless two are at it in the same moment
            entry.replace(log / _FIRST_ENTRY)
    fsync_folder(log)
