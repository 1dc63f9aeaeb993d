"""A dead letter as it is read back, and the message that replays it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingestion.codec import decode_arrow
from ingestion.counted_letters import LetterId
from ingestion.errors import InvalidInput, PoisonMessage
from ingestion.json_batches import form_of, lines_of, objects_of
from ingestion.reading import READING_SCHEMA

Refused = tuple[tuple[str, int, int], tuple[int, ...] | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """One letter of the dead-letter topic.

    stored_at      when the broker took it
    origin         topic, partition and offset of the message that was refused
    rows           indexes of the refused rows of a batch message; None where the whole message was refused
    original_size  bytes of the message, where it was too long to be kept whole: `value` is its beginning
    replay_of      the letter that the refused message was a replay of
    """

    id: LetterId
    stored_at: datetime
    reason: str
    detail: str
    origin: tuple[str, int, int]
    key: bytes | None
    value: bytes | None
    rows: tuple[int, ...] | None = None
    original_size: int | None = None
    replay_of: str | None = None

    @property
    def refused(self) -> Refused:
        """What the letter is of: the message, or some rows of it. The same refusal may lie in the topic twice."""
        return self.origin, self.rows

    @property
    def machine(self) -> str | None:
        """The machine as the key says."""
        return None if self.key is None else self.key.decode(errors="replace")


def replayed_value(letter: Letter, patch: Mapping[str, Any] | None) -> bytes:
    """What is published: the original bytes, or the refused rows alone of a batch message; patched, where asked for.

    patch  a JSON merge patch (RFC 7396) of the reading, or of each refused row

    Raises InvalidInput where there is nothing that could be replayed, or the patch does not fit.
    """
    if letter.original_size is not None:
        raise InvalidInput(
            f"letter {letter.id} holds {len(letter.value or b''):,} of {letter.original_size:,} bytes: the message was "
            "too long to be kept; send it again from its source, and discard the letter"
        )
    if not letter.value:
        raise InvalidInput(
            f"letter {letter.id} is of a message without a value: there is nothing to replay; discard it"
        )
    if letter.rows is not None:
        return _rows(letter, letter.value, letter.rows, patch)
    if patch is None:
        return letter.value
    try:
        found = json.loads(letter.value)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"letter {letter.id} cannot be patched: it is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"letter {letter.id} cannot be patched: it is not a JSON object")
    return json.dumps(merged(found, patch), allow_nan=False, ensure_ascii=False).encode()


def rows_of(letter: Letter, value: bytes, rows: Sequence[int]) -> bytes:
    """A message of these rows alone of a value of many readings. Raises InvalidInput where they cannot be read."""
    return _rows(letter, value, tuple(rows), None)


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396: null takes a field away, an object is merged, everything else takes the field's place."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _rows(letter: Letter, value: bytes, rows: tuple[int, ...], patch: Mapping[str, Any] | None) -> bytes:
    if value[:1] == b"{":
        return _json_rows(letter, value, rows, patch)
    try:
        decode_arrow(value)  # checks the sender's buffers before anything is read from them
        with pa.ipc.open_stream(value) as stream:
            table = stream.read_all().take(pa.array(rows))
    except (PoisonMessage, pa.ArrowException, OSError) as error:
        raise InvalidInput(f"the refused rows of letter {letter.id} cannot be read: {error}") from None
    for name, held in (patch or {}).items():
        table = _with_column(table, name, held)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as written:
        written.write_table(table)
    return bytes(sink.getvalue())


def _with_column(table: pa.Table, name: str, held: Any) -> pa.Table:
    """A column of a reading keeps its type; one that a stream declares beside them takes that of what is given."""
    names = [*READING_SCHEMA.names, *(more for more in table.column_names if more not in READING_SCHEMA.names)]
    if name not in names:
        raise InvalidInput(f"the patch names {name!r}; a row has {', '.join(names)}")
    is_reading = name in READING_SCHEMA.names
    if held is None and not is_reading:
        return table.drop_columns([name])
    kind = READING_SCHEMA.field(name).type if is_reading else None
    try:
        is_time = kind is not None and pa.types.is_timestamp(kind)
        scalar = pa.scalar(datetime.fromisoformat(held) if is_time and held else held, kind)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput(f"the patch's {name} {held!r} is no {kind or 'value'}: {error}") from None
    column = pa.repeat(scalar, table.num_rows)
    if name not in table.column_names:
        return table.append_column(name, column)
    return table.set_column(table.column_names.index(name), name, column)


def _json_rows(letter: Letter, value: bytes, rows: tuple[int, ...], patch: Mapping[str, Any] | None) -> bytes:
    try:
        if patch is None and form_of(value) == "lines":
            lines = lines_of(value)
            return b"\n".join(lines[row] for row in rows)
        objects = objects_of(value, rows)
    except (ValueError, LookupError, RecursionError) as error:
        raise InvalidInput(f"the refused rows of letter {letter.id} cannot be read: {error}") from None
    return b"\n".join(
        json.dumps(merged(found, patch or {}), allow_nan=False, ensure_ascii=False).encode() for found in objects
    )
