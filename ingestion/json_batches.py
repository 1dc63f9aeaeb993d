"""Many readings in one JSON message: an object a line, or one object of columns. Pure.

    {"machine_id":"m","sensor_id":"m/a","event_time":"2026-03-01T08:15:30Z","value":1.5}
    {"machine_id":"m","sensor_id":"m/b","event_time":"2026-03-01T08:15:30Z","value":2.5}

    {"machine_id":"m","sensor_id":["m/a","m/b"],"event_time":["2026-03-01T08:15:30Z","2026-03-01T08:15:30Z"],
     "value":[1.5,2.5]}

A message is of lines where one object ends a line and another begins the next, and of columns where its `value` is an
array. Beside it every column may be an array of that length, or one value for all rows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.codec import UNREADABLE_JSON, Int64, columns_of, decode_arrow, decode_json, encode_batch, poison_of
from ingestion.encoding import Encoding
from ingestion.errors import PoisonMessage
from ingestion.reading import READING_SCHEMA
from ingestion.written_times import times_of

Form = Literal["lines", "columns"]

_LINE_BREAK = re.compile(rb"\}[ \t]*\r?\n[ \t]*\{")


class _Probe(msgspec.Struct, gc=False):
    value: msgspec.Raw = msgspec.Raw(b"")


class _Columns(msgspec.Struct, gc=False):
    machine_id: str | list[str]
    sensor_id: str | list[str]
    event_time: str | list[str]
    value: list[float]
    unit: str | list[str | None] | None = None
    sequence: Int64 | list[Int64 | None] | None = None


_probe = msgspec.json.Decoder(_Probe)
_decoder = msgspec.json.Decoder(_Columns)
_encoder = msgspec.json.Encoder()


def form_of(value: bytes) -> Form | None:
    """Which of the two forms a JSON message has; None where it is one object, or nothing that can be read."""
    if _LINE_BREAK.search(value):
        return "lines"
    if b"[" not in value:
        return None
    try:
        return "columns" if bytes(_probe.decode(value).value)[:1] == b"[" else None
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def decode(value: bytes) -> pa.RecordBatch:
    """The readings of one message of any form, in NULLABLE_SCHEMA. Raises PoisonMessage where it is unreadable.

    Rows may still hold NaN, infinite values, empty ids, or, in an Arrow stream, nulls.
    """
    if value[:1] != b"{":
        return decode_arrow(value)
    form = form_of(value)
    if form == "columns":
        return decode_columns(value)
    return columns_of([decode_json(line) for line in (lines_of(value) if form == "lines" else [value])])


def lines_of(value: bytes) -> list[bytes]:
    """The lines of a message of lines, but for empty ones."""
    return [line for line in (line.strip() for line in value.split(b"\n")) if line]


def decode_columns(value: bytes) -> pa.RecordBatch:
    """The readings of a message of columns, as `decode` gives them. Raises PoisonMessage."""
    try:
        return columns_together([value])[0]
    except UNREADABLE_JSON as error:
        raise poison_of(error, value) from error


def columns_together(values: Sequence[bytes]) -> tuple[pa.RecordBatch, list[int]]:
    """The readings of some messages of columns, one after another, and how many each has.

    Raises PoisonMessage or one of UNREADABLE_JSON where one of them is unreadable.
    """
    for value in values:
        if not value.isascii():
            value.decode()
    messages = [_decoder.decode(value) for value in values]
    counts = [len(message.value) for message in messages]
    columns = {}
    for name in NULLABLE_SCHEMA.names:
        held = [getattr(message, name) for message in messages]
        columns[name] = _column(name, held, counts)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=NULLABLE_SCHEMA), counts


def objects_of(value: bytes, rows: Sequence[int]) -> list[dict[str, Any]]:
    """These rows of a message, of either form or of one reading, as objects: for who looks at few of them.

    Raises msgspec.DecodeError, a ValueError, where one of them is no JSON object.
    """
    form = form_of(value)
    if form == "lines":
        lines = lines_of(value)
        return [msgspec.json.decode(lines[row], type=dict[str, Any]) for row in rows]
    found = msgspec.json.decode(value, type=dict[str, Any])
    if form is None:
        return [found for _ in rows]
    count = len(found["value"])
    return [
        {name: held[row] if isinstance(held, list) and len(held) == count else held for name, held in found.items()}
        for row in rows
    ]


def encode_lines(batch: pa.RecordBatch) -> bytes:
    """Readings (READING_SCHEMA) as a message of lines."""
    return b"\n".join(encode_readings(batch))


def encode_columns(batch: pa.RecordBatch) -> bytes:
    """Readings (READING_SCHEMA) as a message of columns; what is the same in all rows is written once."""
    columns: dict[str, Any] = {"event_time": _written_times(batch.column("event_time")).to_pylist()}
    columns["value"] = batch.column("value").to_pylist()
    for name in ("machine_id", "sensor_id", "unit", "sequence"):
        column = batch.column(name)
        if name != "sequence" and batch.num_rows and len(distinct := column.unique()) == 1:
            columns[name] = distinct[0].as_py()
        else:
            columns[name] = column.to_pylist()
    return _encoder.encode({name: columns[name] for name in READING_SCHEMA.names if columns[name] is not None})


def encode_readings(batch: pa.RecordBatch) -> list[bytes]:
    """Every row of a batch (READING_SCHEMA) as a JSON message; optional fields that are null are left out."""
    pieces: list[Any] = ['{"machine_id":', _quoted(batch.column("machine_id"), "")]
    pieces += [',"sensor_id":', _quoted(batch.column("sensor_id"), "")]
    pieces += [',"event_time":"', _written_times(batch.column("event_time")), '","value":']
    pieces += [_numbers(batch.column("value"), "")]
    pieces += [_quoted(batch.column("unit"), ',"unit":'), _numbers(batch.column("sequence"), ',"sequence":'), "}"]
    joined = pc.binary_join_element_wise(*[_piece(piece) for piece in pieces], "")
    written: list[bytes] = joined.cast(pa.binary()).to_pylist()
    return written


def _piece(piece: Any) -> Any:
    return pa.scalar(piece, pa.string()) if isinstance(piece, str) else piece


ENCODERS: Mapping[Encoding, Callable[[pa.RecordBatch], bytes]] = {
    "arrow": encode_batch,
    "json_lines": encode_lines,
    "json_columns": encode_columns,
}
"""How the rows of one machine become one message."""


def _quoted(column: Any, before: str) -> Any:
    """Texts as JSON with something before each; empty where null."""
    coded = column.dictionary_encode()
    texts = [before + _encoder.encode(text).decode() for text in coded.dictionary.to_pylist()]
    return pa.array([*texts, ""], pa.string()).take(coded.indices.fill_null(len(texts)))


def _numbers(column: Any, before: str) -> Any:
    """Numbers as JSON with something before each; empty where null."""
    if len(column) == 0:
        return pa.array([], pa.string())
    texts = pa.array(_encoder.encode(column.to_pylist()).decode()[1:-1].split(","), pa.string())
    if column.null_count == 0:
        return pc.binary_join_element_wise(before, texts, "") if before else texts
    return pc.if_else(column.is_valid(), pc.binary_join_element_wise(before, texts, ""), "")


def _written_times(column: Any) -> Any:
    """RFC 3339, with as many digits as are needed: none, or six."""
    coded = column.dictionary_encode()  # a machine's sensors measure together
    # with a zone, Arrow looks it up for every element
    written = coded.dictionary.cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.string())
    written = pc.binary_join_element_wise(pc.replace_substring(written, " ", "T"), "Z", "")
    return pc.replace_substring(written, ".000000Z", "Z").take(coded.indices)


def _column(name: str, held: Sequence[Any], counts: Sequence[int]) -> Any:
    """A column of all messages, of each one's list, or its value for all of its rows."""
    for one, count in zip(held, counts, strict=True):
        if isinstance(one, list) and len(one) != count:
            raise PoisonMessage("wrong_schema", f"column {name!r} has {len(one)} elements, 'value' {count}")
    if not any(isinstance(one, list) for one in held):
        return _array(name, held).take(pa.array(np.repeat(np.arange(len(held)), counts)))
    rows = [one if isinstance(one, list) else [one] * count for one, count in zip(held, counts, strict=True)]
    return _array(name, rows[0] if len(rows) == 1 else list(itertools.chain.from_iterable(rows)))


def _array(name: str, values: Sequence[Any]) -> Any:
    return times_of(values) if name == "event_time" else pa.array(values, NULLABLE_SCHEMA.field(name).type)
