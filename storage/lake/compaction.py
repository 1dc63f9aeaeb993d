"""Small part files of a table joined, while others go on writing to it.

A join is one log entry of `dataChange: false`, put where no entry is yet: where others were faster it looks at what
they did, and gives up if they removed one of its files. Who appends is never in its way, nor it in theirs. The joined
file is on disk before the entry that names it; the files that it replaces stay until they are vacuumed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from scoring.errors import TryAgain
from storage.durability import fsync_folder
from storage.lake.part_files import PART_FILE_ORDER, statistics
from storage.lake.table_log import LiveFile, actions, live_files, opened_table

FEWEST_FILES = 8
"""Files of about one size that are worth a join; each row is rewritten once for every power of it."""

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes beyond which a file is left as it is, and about the most that one join reads."""

_SMALLEST_TIER = 16 * 1024
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Compacted:
    """What a compaction did: `lost` counts the joins that were given up for another writer."""

    joins: int = 0
    files_before: int = 0
    files_after: int = 0
    lost: int = 0


def tier_of(size_bytes: int) -> int:
    """Files of one tier are joined with each other: so no row is rewritten for every small file that comes."""
    tier = 0
    while size_bytes > _SMALLEST_TIER:
        size_bytes //= FEWEST_FILES
        tier += 1
    return tier


def joins(files: list[LiveFile], *, fewest: int = FEWEST_FILES) -> list[list[LiveFile]]:
    """Which files to join: of one date and one tier, `fewest` at least, about LARGEST_FILE bytes at most. Pure."""
    groups: dict[tuple[str, int], list[LiveFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        if file.size_bytes < LARGEST_FILE:
            # asked for by hand, with two files enough, all sizes go together
            tier = tier_of(file.size_bytes) if fewest > 2 else 0
            groups.setdefault((file.date, tier), []).append(file)
    found = []
    for _, group in sorted(groups.items()):
        taken: list[LiveFile] = []
        for file in group:
            if taken and sum(one.size_bytes for one in taken) + file.size_bytes > LARGEST_FILE:
                found.append(taken)
                taken = []
            taken.append(file)
        found.append(taken)
    return [group for group in found if len(group) >= fewest]


def compact(
    folder: Path,
    *,
    fewest: int = FEWEST_FILES,
    stop: Callable[[], bool] = lambda: False,
    step: Callable[[str], None] = lambda name: None,
) -> Compacted:
    """Join small part files of a table, a commit for each join. Raises TryAgain where the table cannot be read."""
    table = opened_table(folder)
    done = Compacted()
    for group in joins(live_files(table), fewest=fewest):
        if stop():
            break
        won = _join(folder, table, group, step)
        done = Compacted(
            joins=done.joins + won,
            files_before=done.files_before + len(group) * won,
            files_after=done.files_after + won,
            lost=done.lost + (not won),
        )
        table = opened_table(folder)
    return done


def _join(folder: Path, table: DeltaTable, group: list[LiveFile], step: Callable[[str], None]) -> bool:
    began = table.version()
    schema = pa.schema([field for field in _schema(table) if field.name != "date"])
    try:
        rows = pa.concat_tables([_rows(folder / file.path, schema) for file in group])
    except FileNotFoundError as error:
        raise TryAgain(f"a part file of {folder.name} is gone: {error}") from error
    order = [name for name in PART_FILE_ORDER if name in rows.column_names]
    if order:
        rows = rows.sort_by([(name, "ascending") for name in order])
    name = f"date={group[0].date}/part-{uuid4()}.zstd.parquet"
    size = _written(folder / name, rows)
    step("written")
    now = int(time.time() * 1000)
    partition = {"date": group[0].date}
    changes: list[dict[str, Any]] = [
        {
            "remove": {
                "path": quote(file.path, safe="/=:"),
                "dataChange": False,
                "deletionTimestamp": now,
                "extendedFileMetadata": True,
                "partitionValues": partition,
                "size": file.size_bytes,
            }
        }
        for file in group
    ]
    changes.append(
        {
            "add": {
                "path": name,
                "partitionValues": partition,
                "size": size,
                "modificationTime": now,
                "dataChange": False,
                "stats": json.dumps(statistics(rows)),
            }
        }
    )
    if _put(folder, began, {file.path for file in group}, changes, now):
        step("committed")
        return True
    (folder / name).unlink(missing_ok=True)
    return False


def _put(folder: Path, began: int, removed: set[str], changes: list[dict[str, Any]], now: int) -> bool:
    """Put the entry behind the newest one; False where another writer removed one of the files, or is too fast."""
    log = folder / "_delta_log"
    version = began + 1
    for _ in range(_ATTEMPTS):
        while (entry := log / f"{version:020}.json").exists():
            for action in actions(entry):
                # what changes the table itself changes what this entry was made for
                if unquote(action.get("remove", {}).get("path", "")) in removed or action.keys() & {
                    "metaData",
                    "protocol",
                }:
                    return False
            version += 1
        if not (log / f"{version - 1:020}.json").exists() and version > began + 1:
            return False
        info = {"timestamp": now, "operation": "OPTIMIZE", "operationParameters": {}, "readVersion": version - 1}
        draft = log / f".{uuid4()}.compaction.tmp"
        with draft.open("w", encoding="utf-8") as file:
            for action in [{"commitInfo": info}, *changes]:
                file.write(json.dumps(action) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, entry)
        except FileExistsError:
            continue
        finally:
            draft.unlink()
        fsync_folder(log)
        return True
    return False


def _schema(table: DeltaTable) -> pa.Schema:
    return pa.schema(table.schema().to_arrow())


def _rows(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of a part file in the table's columns of today; one that it did not have yet is null."""
    held = pq.ParquetFile(path).read()
    columns = [
        held[field.name].cast(field.type) if field.name in held.column_names else pa.nulls(held.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _written(path: Path, rows: pa.Table) -> int:
    with path.open("wb") as file:
        pq.write_table(rows, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    fsync_folder(path.parent)
    return size
