"""What a table's log and folder hold, read without delta-rs where its entries themselves are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from scoring.errors import TryAgain


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveFile:
    """A part file of the table's newest version; `path` is relative to the folder."""

    path: str
    date: str
    size_bytes: int


def opened_table(folder: Path) -> DeltaTable:
    """Raises TryAgain."""
    try:
        return DeltaTable(folder)
    except (DeltaError, OSError) as error:
        raise TryAgain(f"the lake table {folder.name} cannot be read now: {error}") from error


def live_files(table: DeltaTable) -> list[LiveFile]:
    """Part files of the snapshot."""
    added = pa.table(table.get_add_actions(flatten=True))
    columns = (added["path"].to_pylist(), added["partition.date"].to_pylist(), added["size_bytes"].to_pylist())
    return [
        LiveFile(path=unquote(path), date=str(date), size_bytes=size) for path, date, size in zip(*columns, strict=True)
    ]


def entries(folder: Path) -> Iterator[tuple[int, Path]]:
    """Entries of the log with their versions, in no order."""
    for path in (folder / "_delta_log").glob("*.json"):
        if path.stem.isdecimal():
            yield int(path.stem), path


def version_of(path: Path) -> int:
    """Of an entry or a checkpoint."""
    return int(path.name.split(".", 1)[0])


def modified_at(path: Path) -> float:
    """Seconds since the epoch; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def actions(entry: Path) -> Iterator[dict[str, Any]]:
    """Actions of an entry; none where it is gone."""
    try:
        text = entry.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        if line.strip():
            yield json.loads(line)
