"""Columns of an Arrow message as those of a reading: whatever holds the same values is taken, the rest refused by name.

Producers change: they add columns, write them in another order, narrower or dictionary-encoded, or times in another
unit. None of that needs a change here. Refused is what would lose something, or has to be guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.errors import PoisonMessage
from ingestion.reading import READING_SCHEMA, REQUIRED

NULLABLE_SCHEMA = pa.schema([field.with_nullable(True) for field in READING_SCHEMA])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


_KINDS: dict[str, tuple[Callable[[pa.DataType], bool], str]] = {
    "machine_id": (_is_text, "a column of strings (utf8)"),
    "sensor_id": (_is_text, "a column of strings (utf8)"),
    "event_time": (pa.types.is_timestamp, "a timestamp with a zone (timestamp[us, UTC])"),
    "value": (_is_number, "a column of numbers (double, or other floats or integers)"),
    "unit": (_is_text, "a column of strings (utf8)"),
    "sequence": (pa.types.is_integer, "a column of integers (int64, or others)"),
}
"""Which types a column may have, and how that is told."""


def check_schema(schema: pa.Schema) -> None:
    """Raises PoisonMessage where a column of a reading is missing, there twice, or of a type that is not taken."""
    names = schema.names
    for name, (is_taken, wanted) in _KINDS.items():
        if names.count(name) > 1:
            raise PoisonMessage("wrong_schema", f"column {name!r} appears {names.count(name)} times; once is needed")
        if name not in names:
            if name in REQUIRED:
                found = ", ".join(names) or "none"
                raise PoisonMessage("wrong_schema", f"column {name!r} is missing; found are {found[:200]}")
            continue
        kind = schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_null(plain):
            continue  # nobody had one: where a reading needs it, its rows say so
        if not is_taken(plain):
            raise PoisonMessage("wrong_schema", f"column {name!r} is {kind}; {wanted} is needed")
        if name == "event_time" and plain.tz is None:
            raise PoisonMessage("bad_time", f"column 'event_time' is {kind}, without a zone; {wanted} is needed")


def conform(table: pa.Table) -> pa.RecordBatch:
    """The columns of a reading, in NULLABLE_SCHEMA; those that may be missing are null. Raises PoisonMessage."""
    columns = []
    for field in NULLABLE_SCHEMA:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        columns.append(column if column.type == field.type else _cast(column, field))
    return pa.RecordBatch.from_arrays(columns, schema=NULLABLE_SCHEMA)


def _cast(column: Any, field: pa.Field) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), field.type)
    try:
        if field.name == "event_time":
            # a column of another zone holds the same UTC instants; of nanoseconds the microsecond is kept
            options = pc.CastOptions(target_type=field.type, allow_time_truncate=True)
            return pc.cast(column, options=options)
        return pc.cast(column, field.type)
    except pa.ArrowInvalid as error:
        reason = "bad_time" if field.name == "event_time" else "wrong_type"
        told = str(error).splitlines()[0][:200]
        raise PoisonMessage(reason, f"column {field.name!r} is {kind} and does not fit {field.type}: {told}") from error
