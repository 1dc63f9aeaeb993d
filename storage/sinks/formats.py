"""The parts of a job's mini-batches as one output file: how each `output_format` is written."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.deployment import Deployment, OutputFormat
from scoring.errors import JobFailed

_CHUNK = 1 << 20
_GROUP_ROWS = 100_000
_MIXED = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


def write(deployment: Deployment, parts: Sequence[Path], file: BinaryIO) -> None:
    """Write all rows of `parts`, in their order, into the open file. Raises JobFailed for a part that is broken."""
    WRITERS[deployment.output_format](deployment, parts, file)


def _concatenated(deployment: Deployment, parts: Sequence[Path], file: BinaryIO) -> None:
    for part in parts:
        with part.open("rb") as lines:
            shutil.copyfileobj(lines, file, _CHUNK)


# --- csv ------------------------------------------------------------------------------------------------------------


def _csv(deployment: Deployment, parts: Sequence[Path], file: BinaryIO) -> None:
    """All columns that any mini-batch returned, in the order in which they first came; a missing value is empty."""
    headers = [_header(part) for part in parts]
    names = list(dict.fromkeys(name for header in headers for name in header))
    if deployment.output_header and names:
        file.write(_line(names))
    for part, header in zip(parts, headers, strict=True):
        with part.open("rb") as rows:
            rows.readline()
            if header == names:
                shutil.copyfileobj(rows, file, _CHUNK)
                continue
        with part.open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            text.readline()
            for values in csv.reader(text):
                row = dict(zip(header, values, strict=False))
                file.write(_line([row.get(name, "") for name in names]))


def _header(part: Path) -> list[str]:
    with part.open("rb") as file:
        try:
            names = json.loads(file.readline())
        except ValueError as error:
            raise JobFailed(f"the result file {part} cannot be read: {error}") from error
    return [str(name) for name in names]


class _Kept:
    """A file of csv.writer's that keeps the last line."""

    def __init__(self) -> None:
        self.line = ""

    def write(self, line: str) -> None:
        self.line = line


def _line(values: Sequence[str]) -> bytes:
    kept = _Kept()
    csv.writer(kept, lineterminator="\n").writerow(values)
    return kept.line.encode("utf-8", "surrogateescape")


# --- parquet --------------------------------------------------------------------------------------------------------


def _parquet(deployment: Deployment, parts: Sequence[Path], file: BinaryIO) -> None:
    """As `_csv` for the columns. A column whose types no number or time can hold together becomes text."""
    fields: dict[str, pa.Field] = {}
    for part in parts:
        for field in _table(part).schema:
            fields[field.name] = _wider(fields.get(field.name), field)
    schema = pa.schema(list(fields.values()))
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in _groups(schema, parts):
            writer.write_table(table)


def _groups(schema: pa.Schema, parts: Sequence[Path]) -> Iterator[pa.Table]:
    """Row groups of a useful size, however small the mini-batches are."""
    waiting: list[pa.Table] = []
    rows = 0
    for part in parts:
        table = _cast(_table(part), schema)
        waiting.append(table)
        rows += table.num_rows
        if rows >= _GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if rows:
        yield pa.concat_tables(waiting)


def _table(part: Path) -> pa.Table:
    try:
        if part.suffix == ".feather":
            with pa.memory_map(str(part)) as file:
                return _decoded(pa.ipc.open_file(file).read_all())
        records = [orjson.loads(line) for line in part.read_bytes().splitlines() if line]
    except (pa.ArrowInvalid, orjson.JSONDecodeError) as error:
        raise JobFailed(f"the result file {part} cannot be read: {error}") from error
    names = list(dict.fromkeys(name for record in records for name in record))
    return pa.table({name: _array([record.get(name) for record in records]) for name in names})


def _decoded(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    return table


def _array(values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except _MIXED:
        return pa.array([_text(value) for value in values], pa.string())


def _wider(one: pa.Field | None, other: pa.Field) -> pa.Field:
    if one is None or one.type == other.type:
        return pa.field(other.name, other.type)
    try:
        return pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive").field(0)
    except _MIXED:
        return pa.field(other.name, pa.string())


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        place = table.schema.get_field_index(field.name)
        if place < 0:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(place)
        try:
            columns.append(column.cast(field.type, safe=False))
        except _MIXED:
            columns.append(pa.array([_text(value) for value in column.to_pylist()], pa.string()))
    return pa.Table.from_arrays(columns, schema=schema)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()


WRITERS: Mapping[OutputFormat, Callable[[Deployment, Sequence[Path], BinaryIO], None]] = {
    OutputFormat.APPEND_ROW: _concatenated,
    OutputFormat.JSONL: _concatenated,
    OutputFormat.CSV: _csv,
    OutputFormat.PARQUET: _parquet,
}
