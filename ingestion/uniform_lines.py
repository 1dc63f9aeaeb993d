"""JSON objects, one a line, all written alike: the same fields in the same order, as one program writes them. Pure.

Such lines are a table with commas between its cells. A reader of such tables parts them several times faster than a
decoder of JSON, with no object for each value and without the interpreter's lock. Nothing is taken on trust: what
stands in a cell beside its value is compared with the first line's, and each distinct text is left to the decoder of
JSON. Where anything is in another way, nothing is said but that: whoever asked has the lines decoded as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.codec import UNREADABLE_JSON
from ingestion.reading import REQUIRED
from ingestion.written_times import usual_times

Bytes = npt.NDArray[np.uint8]

_TEXTS = ("machine_id", "sensor_id", "unit")
_NUMBERS = ("value", "sequence")
_LONGEST_FIRST_LINE = 4096
_BLOCK_BYTES = 1024 * 1024
"""What is parted at a time: with more, cells leave the processor's cache before they become columns."""

_CELL = re.compile(
    rb'(?P<before>[ \t]*(?P<open>\{)?[ \t]*"(?P<name>[ !#-\[\]-~]+)"[ \t]*:[ \t]*)'
    rb'(?:"(?:[^"\\]|\\.)*"|[^" \t{}]+)'
    rb"(?P<after>[ \t]*(?P<close>\})?[ \t]*)"
)
_IN_NUMBERS = np.isin(np.arange(256), list(b"0123456789.eE+-"))
_texts_decoder = msgspec.json.Decoder(list[str | None])
_any_decoder = msgspec.json.Decoder(list[Any])


@dataclass(frozen=True, slots=True)
class _Cell:
    """What stands before and after the value in each cell of a column; blanks before a line's first are left out."""

    name: str
    before: str
    after: str


def columns_of_lines(lines: Bytes) -> pa.RecordBatch | None:
    """Columns as in NULLABLE_SCHEMA, `machine_id` and `sensor_id` dictionary-encoded; None where the lines are not so.

    lines  none is empty; the last one has no line feed
    """
    cells = _layout(lines)
    if cells is None or (lines == ord("\r")).any():  # a line would end there, too
        return None
    try:
        table = _parted(lines, [cell.name for cell in cells])
        columns = {cell.name: _values(cell, table.column(cell.name)) for cell in cells}
    except (pa.ArrowInvalid, *UNREADABLE_JSON):
        return None
    if any(column is None for column in columns.values()):
        return None
    for name in set(NULLABLE_SCHEMA.names) - set(columns):
        columns[name] = pa.nulls(table.num_rows, NULLABLE_SCHEMA.field(name).type)
    return pa.RecordBatch.from_arrays([columns[name] for name in NULLABLE_SCHEMA.names], names=NULLABLE_SCHEMA.names)


def _layout(lines: Bytes) -> Sequence[_Cell] | None:
    """The cells of the first line; None where a part of it is not as they are."""
    written = lines[:_LONGEST_FIRST_LINE].tobytes().split(b"\n", 1)[0].lstrip(b" ").split(b",")
    cells = []
    for place, text in enumerate(written):
        found = _CELL.fullmatch(text)
        if not found or bool(found["open"]) != (place == 0) or bool(found["close"]) != (place == len(written) - 1):
            return None
        quote = b'"' if found["name"] == b"event_time" else b""
        before, after = found["before"] + quote, quote + found["after"]
        cells.append(_Cell(found["name"].decode(), before.decode(), after.decode()))
    names = {cell.name for cell in cells}
    if len(names) < len(cells) or not names.issuperset(REQUIRED):
        return None
    return cells


def _parted(lines: Bytes, names: Sequence[str]) -> pa.Table:
    """The cells as texts. Raises ArrowInvalid where a line has not as many as the first, or is not UTF-8."""
    text, distinct = pa.string(), pa.dictionary(pa.int32(), pa.string())
    table = csv.read_csv(
        pa.py_buffer(lines),
        read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=names),
        parse_options=csv.ParseOptions(delimiter=",", quote_char=False, double_quote=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={name: text if name in _NUMBERS else distinct for name in names},
            null_values=[],
        ),
    )
    return table.unify_dictionaries().combine_chunks()


def _values(cell: _Cell, column: Any) -> Any | None:
    """What a column's cells hold; None where they are not all alike, or not as they should be."""
    column = column.chunk(0)
    written = _inner(cell, column if cell.name in _NUMBERS else column.dictionary)
    if written is None:
        return None
    if cell.name in _NUMBERS:
        return _numbers(cell.name, written)
    if cell.name == "event_time":
        times = usual_times(written)
        return None if times is None else times.take(column.indices)
    decoder = _texts_decoder if cell.name in _TEXTS else _any_decoder
    distinct = decoder.decode(f"[{','.join(written.to_pylist())}]")
    if len(distinct) != len(written) or (None in distinct and cell.name in REQUIRED):
        return None
    return _coded(distinct, column.indices, cell.name) if cell.name in _TEXTS else column


def _coded(texts: Sequence[str | None], indices: Any, name: str) -> Any:
    coded = pa.array(texts, pa.string()).dictionary_encode()
    if len(coded.dictionary) < len(texts):  # one of them is written in several ways, or is null
        indices = coded.indices.take(indices)
    found = pa.DictionaryArray.from_arrays(indices, coded.dictionary)
    return found.cast(pa.string()) if name == "unit" else found


def _inner(cell: _Cell, column: Any) -> Any | None:
    """What stands between `before` and `after`, a byte or more; None where that is not so in every cell."""
    if cell.before.startswith("{"):
        column = pc.utf8_ltrim(column, " ")
    if not pc.all(pc.starts_with(column, cell.before)).as_py():
        return None
    if cell.after and not pc.all(pc.ends_with(column, cell.after)).as_py():
        return None
    if pc.min(pc.binary_length(column)).as_py() <= len(cell.before) + len(cell.after):
        return None
    return pc.utf8_slice_codeunits(column, len(cell.before), -len(cell.after) or None)


def _numbers(name: str, texts: Any) -> Any | None:
    """Numbers as JSON has them: Arrow reads more than those. Raises ArrowInvalid where it is none for Arrow, either."""
    kind = NULLABLE_SCHEMA.field(name).type
    if name not in REQUIRED and pc.all(pc.equal(texts, "null")).as_py():
        return pa.nulls(len(texts), kind)
    bounds = np.frombuffer(texts.buffers()[1], np.int32)[: len(texts) + 1]
    held = np.frombuffer(texts.buffers()[2], np.uint8)[: bounds[-1]]
    is_digit = held - np.uint8(ord("0")) < 10
    first, last = bounds[:-1] + (held[bounds[:-1]] == ord("-")), bounds[1:] - 1
    if not _IN_NUMBERS[held].all() or (first > last).any() or not (is_digit[first] & is_digit[last]).all():
        return None
    if ((held[first] == ord("0")) & (first < last) & is_digit[np.minimum(first + 1, last)]).any():
        return None
    if ((held[:-1] == ord(".")) & ~is_digit[1:]).any():
        return None
    numbers = texts.cast(kind)
    return numbers if np.isfinite(numbers.to_numpy()).all() else None
