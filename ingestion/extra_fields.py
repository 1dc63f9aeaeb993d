"""Optional fields of messages beyond those of a reading, where a stream's definition declares them.

Messages are decoded as ever first; this is a second look at those that were good. A field of another type than was
declared makes the reading a dead letter of this stream alone: other streams do not look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.definition import ExtraField, FieldType, StreamDefinition
from ingestion.intake import DeadLetter, Intake
from ingestion.json_batches import form_of, objects_of
from ingestion.records import Message, Record

WRONG_FIELD = "wrong_field"

_JSON_TYPES: Mapping[FieldType, frozenset[type]] = {
    "double": frozenset({float, int, type(None)}),
    "int64": frozenset({int, type(None)}),
    "string": frozenset({str, type(None)}),
    "bool": frozenset({bool, type(None)}),
}
_ARROW_TYPES: Mapping[FieldType, Callable[[pa.DataType], bool]] = {
    "double": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "int64": pa.types.is_integer,
    "string": lambda kind: kind in (pa.string(), pa.large_string()),
    "bool": pa.types.is_boolean,
}


@dataclass(frozen=True, slots=True)
class _Run:
    """The good readings of one message: rows `first` to `last` of the intake, `rows` those of the message."""

    message: Record
    first: int
    last: int
    rows: tuple[int, ...]


def with_fields(partition: int, messages: Iterable[Record], intake: Intake, definition: StreamDefinition) -> Intake:
    """The intake with a column more for each declared field, without the readings whose fields are of other types."""
    fields = definition.fields
    columns: dict[str, list[Any]] = {field.name: [] for field in fields}
    letters: list[DeadLetter] = []
    bad: list[int] = []
    decoder = msgspec.json.Decoder(msgspec.defstruct("Fields", [(field.name, Any, None) for field in fields]))
    for run in _runs(messages, intake):
        value = run.message.value or b""
        if value[:1] == b"{" and form_of(value) is None:
            found, wrong = _of_json(decoder, value, fields)
        elif value[:1] == b"{":
            found, wrong = _of_json_rows(value, run.rows, fields)
        else:
            found, wrong = _of_arrow(value, run.rows, fields)
        if wrong:
            bad += [run.first + place for place in wrong]
            letters.append(_letter(partition, run, wrong, definition.name))
        for name, values in found.items():
            columns[name] += values
    readings = intake.readings
    for field in fields:
        readings = _appended(readings, field, columns[field.name])
    if not bad:
        return replace(intake, readings=readings)
    good = np.ones(readings.num_rows, bool)
    good[bad] = False
    kept = np.flatnonzero(good)
    return replace(
        intake,
        readings=readings.take(pa.array(kept)),
        offsets=intake.offsets[kept],
        dead_letters=sorted([*intake.dead_letters, *letters], key=lambda letter: letter.message.offset),
        refused={**intake.refused, WRONG_FIELD: len(bad)},
    )


def _appended(readings: pa.RecordBatch, field: ExtraField, values: Sequence[Any]) -> pa.RecordBatch:
    column = pa.array(values, field.arrow_type)
    return pa.RecordBatch.from_arrays(
        [*readings.columns, column],
        schema=readings.schema.append(pa.field(field.name, field.arrow_type)),
    )


def _runs(messages: Iterable[Record], intake: Intake) -> list[_Run]:
    by_offset = {message.offset: message for message in messages}
    refused: dict[int, set[int]] = {}
    for letter in intake.dead_letters:
        refused.setdefault(letter.message.offset, set()).update(letter.rows or ())
    offsets, firsts, counts = np.unique(intake.offsets, return_index=True, return_counts=True)
    runs = []
    for offset, first, count in zip(offsets.tolist(), firsts.tolist(), counts.tolist(), strict=True):
        gone = refused.get(offset, set())
        rows = tuple(row for row in range(count + len(gone)) if row not in gone)
        runs.append(_Run(by_offset[offset], first, first + count, rows))
    return runs


_Found = tuple[dict[str, list[Any]], Mapping[int, str]]
"""The columns of a message's good rows, and of those that are wrong, by their place among them, what was expected."""


def _of_json(decoder: msgspec.json.Decoder[Any], value: bytes, fields: Sequence[ExtraField]) -> _Found:
    try:
        held = decoder.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _all_wrong(1, fields, f"the declared fields cannot be read: {error}; fields that can be were expected")
    return _checked([{field.name: getattr(held, field.name) for field in fields}], fields)


def _of_json_rows(value: bytes, rows: Sequence[int], fields: Sequence[ExtraField]) -> _Found:
    try:
        objects = objects_of(value, rows)
    except (ValueError, RecursionError) as error:
        told = f"the declared fields cannot be read: {error}; fields that can be were expected"
        return _all_wrong(len(rows), fields, told)
    return _checked(objects, fields)


def _all_wrong(count: int, fields: Sequence[ExtraField], told: str) -> _Found:
    return {field.name: [None] * count for field in fields}, dict.fromkeys(range(count), told)


def _checked(objects: Sequence[Mapping[str, Any]], fields: Sequence[ExtraField]) -> _Found:
    found: dict[str, list[Any]] = {field.name: [] for field in fields}
    wrong: dict[int, str] = {}
    for place, held in enumerate(objects):
        for field in fields:
            one = held.get(field.name)
            if type(one) not in _JSON_TYPES[field.type] or not _fits(one, field.type):
                wrong.setdefault(place, f"field {field.name} is {_shown(one)}; {field.type} was expected")
                one = None
            found[field.name].append(float(one) if field.type == "double" and one is not None else one)
    return found, wrong


def _fits(value: Any, kind: FieldType) -> bool:
    if kind == "int64" and value is not None:
        return bool(-(2**63) <= value < 2**63)
    if kind == "double" and isinstance(value, int):
        return abs(value) < 2**1023
    return True


def _of_arrow(value: bytes, rows: Sequence[int], fields: Sequence[ExtraField]) -> _Found:
    # decoded once already, so the bytes are sound
    with pa.ipc.open_stream(pa.py_buffer(value)) as stream:
        table = stream.read_all()
    found: dict[str, list[Any]] = {}
    for field in fields:
        if field.name not in table.column_names:
            found[field.name] = [None] * len(rows)
            continue
        if table.column_names.count(field.name) > 1:
            return _all_wrong(len(rows), fields, f"column {field.name} appears twice; it was expected once")
        column = table.column(field.name)
        if pa.types.is_null(column.type):
            column = column.cast(field.arrow_type)
        if not _ARROW_TYPES[field.type](column.type):
            return _all_wrong(len(rows), fields, f"column {field.name} is {column.type}; {field.type} was expected")
        try:
            taken = pc.cast(column.take(pa.array(rows, pa.int64())), field.arrow_type, safe=field.type != "double")
        except pa.ArrowInvalid as error:
            told = f"column {field.name}: {str(error).splitlines()[0][:150]}; {field.type} was expected"
            return _all_wrong(len(rows), fields, told)
        if field.type == "double":
            taken = pc.if_else(pc.is_finite(taken), taken, None)
        found[field.name] = taken.to_pylist()
    return found, {}


def _letter(partition: int, run: _Run, wrong: Mapping[int, str], stream: str) -> DeadLetter:
    message = run.message
    stamp = -1 if message.timestamp is None else message.timestamp
    kept = Message(message.offset, stamp, message.key, message.value, message.headers)
    # as everywhere: a message that is one reading is refused whole, of many readings the rows are named
    value = message.value or b""
    is_single = value[:1] == b"{" and form_of(value) is None
    rows = None if is_single else tuple(run.rows[place] for place in wrong)
    detail = f"{next(iter(wrong.values()))} by the stream {stream}"
    return DeadLetter(partition=partition, message=kept, reason=WRONG_FIELD, detail=detail[:300], rows=rows)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
