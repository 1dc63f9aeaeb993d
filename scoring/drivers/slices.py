"""Slices of files, as planning has cut them: read, or written as files of their own for scripts that take paths."""

from __future__ import annotations

import os
import shutil
from typing import Any, BinaryIO

_CHUNK = 1 << 20
_ROWS = 65_536


class FileChanged(Exception):
    """The file is not the one that was planned."""


def files(paths: list[str], slices: list[Any], folder: str) -> list[str]:
    """The paths, each slice written below `folder` as `<name>.<start>-<end><ending>`; whole files are themselves."""
    return [
        path if part is None else _written(path, part, os.path.join(folder, f"{place:04d}"))
        for place, (path, part) in enumerate(zip(paths, slices))  # noqa: B905
    ]


def rows(path: str, start: int, end: int) -> Any:
    """Rows [start, end) of a Parquet file as an Arrow table; nothing else is kept in memory."""
    import pyarrow
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
    if file.metadata.num_rows < end:
        raise FileChanged(f"{path} has {file.metadata.num_rows} rows, and had {end} at least")
    groups = []  # type: list[int]
    first = place = 0
    for number in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        if place < end and place + count > start:
            first = first if groups else place
            groups.append(number)
        place += count
    found = []
    for batch in file.iter_batches(batch_size=_ROWS, row_groups=groups):
        last = first + batch.num_rows
        if last > start:
            found.append(batch.slice(max(start - first, 0), min(end, last) - max(start, first)))
        first = last
        if first >= end:
            break
    return pyarrow.Table.from_batches(found, schema=file.schema_arrow)


def content(path: str, part: dict[str, Any]) -> bytes:
    """A slice of a text file, its header before it."""
    with _opened(path, part) as file:
        header = file.read(part["header"])
        file.seek(part["start"])
        return header + file.read(part["end"] - part["start"])


def _written(path: str, part: dict[str, Any], folder: str) -> str:
    os.makedirs(folder, exist_ok=True)
    stem, ending = os.path.splitext(os.path.basename(path))
    target = os.path.join(folder, "{}.{}-{}{}".format(stem, part["start"], part["end"], ending))
    half = f"{target}.{os.getpid()}.tmp"
    if part["kind"] == "rows":
        import pyarrow.parquet

        pyarrow.parquet.write_table(rows(path, part["start"], part["end"]), half, compression="lz4")
    else:
        with _opened(path, part) as source, open(half, "wb") as file:
            _copy(source, file, part["header"])
            source.seek(part["start"])
            _copy(source, file, part["end"] - part["start"])
    os.replace(half, target)
    return target


def clean(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _opened(path: str, part: dict[str, Any]) -> BinaryIO:
    size = os.path.getsize(path)
    if size < part["end"]:
        raise FileChanged("{} has {} bytes, and had {} at least".format(path, size, part["end"]))
    return open(path, "rb")


def _copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length:
        chunk = source.read(min(length, _CHUNK))
        if not chunk:
            raise FileChanged(f"{source.name} was cut short while it was read")
        target.write(chunk)
        length -= len(chunk)
