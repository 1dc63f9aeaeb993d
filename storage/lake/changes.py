"""What a lake table gained between two versions: exact part files, straight from the commits of its log.

A compaction rewrites files without changing data (its actions say `dataChange: false`): it gains nothing. The files
that it replaced stay on disk until they are vacuumed, and it is those that hold the gained rows and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from scoring.errors import InvalidInput, TryAgain


@dataclass(frozen=True, kw_only=True, slots=True)
class PartFile:
    """A Parquet file of the table; `path` is absolute."""

    path: Path
    rows: int
    size_bytes: int


def current_version(folder: Path) -> int | None:
    """The table's newest version; None where there is no table yet.

    Raises InvalidInput where its log is damaged, TryAgain where the disk did not answer.
    """
    if not (folder / "_delta_log").is_dir():
        return None
    try:
        return int(DeltaTable(str(folder)).version())
    except OSError as error:
        raise TryAgain(f"the lake table {folder.name} cannot be read now: {error.strerror}") from error
    except DeltaError as error:
        # the first commit may be under way: its folder is made before its file
        if not any((folder / "_delta_log").glob("*.json")):
            return None
        raise InvalidInput(f"the log of the lake table {folder.name} is damaged: {_first_line(error)}") from error


def gained(folder: Path, from_version: int | None, to_version: int) -> list[PartFile]:
    """Part files with the rows that came after `from_version`, up to and including `to_version`, in a stable order.

    from_version None  all rows that the table has at `to_version`

    A file that came and whose data was deleted again within the range is not listed. Raises InvalidInput where the
    range is none, or its history is gone.
    """
    newest = current_version(folder)
    if newest is None:
        raise InvalidInput(f"there is no table {folder.name}; looked for {folder}/_delta_log")
    for version in (from_version, to_version):
        if version is not None and not 0 <= version <= newest:
            raise InvalidInput(
                f"version {version} of table {folder.name} was asked for, and it has 0 to {newest}; "
                "if the table was made anew, create the schedule anew too"
            )
    if from_version is None:
        files = _all_at(folder, to_version)
    elif from_version > to_version:
        raise InvalidInput(f"versions after {from_version} up to {to_version} are none")
    else:
        files = _between(folder, from_version, to_version)
    for file in files:
        if not file.path.exists():
            raise InvalidInput(
                f"the part file {file.path} of table {folder.name} is gone, probably compacted and vacuumed; "
                + _mend(newest)
            )
    return files


def _all_at(folder: Path, version: int) -> list[PartFile]:
    try:
        actions = pa.table(DeltaTable(str(folder), version=version).get_add_actions(flatten=True))
    except (DeltaError, OSError) as error:
        raise InvalidInput(
            f"version {version} of table {folder.name} cannot be read: {_first_line(error)}; {_mend(version)}"
        ) from error
    columns = (actions["path"].to_pylist(), actions["num_records"].to_pylist(), actions["size_bytes"].to_pylist())
    files = [_part_file(folder, path, rows, size) for path, rows, size in zip(*columns, strict=True)]
    return sorted(files, key=lambda file: file.path)


def _between(folder: Path, from_version: int, to_version: int) -> list[PartFile]:
    found: dict[str, PartFile] = {}
    for version in range(from_version + 1, to_version + 1):
        for action in _commit(folder, version):
            if "add" in action and action["add"].get("dataChange", True):
                add = action["add"]
                if add.get("deletionVector") is not None:
                    raise InvalidInput(
                        f"version {version} of table {folder.name} uses deletion vectors, which cannot be read"
                    )
                rows = json.loads(add.get("stats") or "{}").get("numRecords")
                found[add["path"]] = _part_file(folder, add["path"], rows, add["size"])
            elif "remove" in action and action["remove"].get("dataChange", True):
                found.pop(action["remove"]["path"], None)
    return list(found.values())


def _commit(folder: Path, version: int) -> Iterator[dict[str, Any]]:
    try:
        text = (folder / "_delta_log" / f"{version:020}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            f"version {version} of table {folder.name} is no longer in its log, so what came since cannot be told; "
            + _mend(version)
        ) from None
    return (json.loads(line) for line in text.splitlines() if line.strip())


def _part_file(folder: Path, path: str, rows: int | None, size: int) -> PartFile:
    parsed = urlparse(path)
    if parsed.scheme not in {"", "file"}:
        raise InvalidInput(f"table {folder.name} has the part file {path}, and only files of this machine can be read")
    absolute = folder / unquote(parsed.path)
    if rows is None and absolute.exists():
        # written by somebody who keeps no statistics
        rows = pq.ParquetFile(absolute).metadata.num_rows
    return PartFile(path=absolute, rows=rows or 0, size_bytes=size)


def _mend(version: int) -> str:
    return f"score the whole table once (incremental: false), or go on from a later version (from_version: {version})"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
