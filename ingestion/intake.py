"""From Kafka messages to good readings and dead letters: a decision on every message and every row. Pure, vectorised.

The same messages give the same answer whenever they are read: times are compared with the record's own timestamp, never
with the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.codec import (
    ARROW_MAGIC,
    MAX_ID_LENGTH,
    JsonReading,
    columns_of,
    decode_arrow,
    decode_json,
    decode_json_run,
    to_microseconds,
)
from ingestion.errors import PoisonMessage
from ingestion.settings import StreamSettings

_MICROSECOND = timedelta(microseconds=1)
_LAST_MOMENT = to_microseconds(datetime(9999, 12, 1, tzinfo=UTC))
LARGEST_VALUE = 1e150
"""Beyond it the sum of squares overflows; no quantity of a machine comes near."""


class Record(Protocol):
    """One Kafka record of a partition, as a client has it: taken as it is, since a copy of each would cost the most.

    timestamp  milliseconds since the epoch; None or -1 where the record has none
    """

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int | None: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Message(NamedTuple):
    """A Record to keep. `timestamp` is -1 where the record has none."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A message, or some rows of one, that can never be counted.

    rows  indexes of the refused rows within an Arrow message; None where the whole message is refused
    """

    partition: int
    message: Message
    reason: str
    detail: str
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """Good readings in offset order, and what was refused.

    readings      READING_SCHEMA's columns
    offsets       of each reading's message
    dead_letters  in offset order
    refused       readings refused, by reason (a whole message counts as one)
    """

    readings: pa.RecordBatch
    offsets: npt.NDArray[np.int64]
    dead_letters: Sequence[DeadLetter]
    refused: dict[str, int] = field(default_factory=dict)


_ROW_FAULTS = (
    "missing_field",
    "bad_id",
    "key_mismatch",
    "not_finite",
    "out_of_range",
    "future_time",
    "ancient_time",
)
"""What can be wrong with a single row, in the order in which a row's reason is chosen."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Records by column, in offset order."""

    records: Sequence[Record]
    offsets: npt.NDArray[np.int64]
    stamps_ms: npt.NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]

    @classmethod
    def of(cls, records: Sequence[Record]) -> _Columns:
        stamps = [record.timestamp for record in records]
        return cls(
            records,
            np.array([record.offset for record in records], np.int64),
            np.array([-1 if stamp is None else stamp for stamp in stamps] if None in stamps else stamps, np.int64),
            [record.key for record in records],
            [record.value for record in records],
        )

    def message(self, index: int) -> Message:
        stamp = int(self.stamps_ms[index])
        headers = self.records[index].headers
        return Message(int(self.offsets[index]), stamp, self.keys[index], self.values[index], headers)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Readings in offset order, `owner` the index of each one's record; and the records that cannot be read."""

    readings: pa.RecordBatch
    owner: npt.NDArray[np.int64]
    letters: list[DeadLetter]


def sift(partition: int, records: Sequence[Record], settings: StreamSettings) -> Intake:
    """Decode the records of one partition (in offset order) and part the good readings from the refused."""
    columns = _Columns.of(records)
    decoded = _decoded_at_once(columns, settings) or _decoded_singly(partition, columns, settings)
    letters = decoded.letters
    refused: dict[str, int] = {}
    for letter in letters:
        refused[letter.reason] = refused.get(letter.reason, 0) + 1
    readings, owner = decoded.readings, decoded.owner
    if readings.num_rows == 0:
        return Intake(readings=readings, offsets=np.empty(0, np.int64), dead_letters=letters, refused=refused)
    faults = _row_faults(readings, owner, columns, settings)
    offsets = columns.offsets[owner]
    if not faults.any():
        return Intake(readings=readings, offsets=offsets, dead_letters=letters, refused=refused)

    letters += _row_letters(partition, columns, readings, owner, faults)
    letters.sort(key=lambda letter: letter.message.offset)
    for code, count in zip(*np.unique(faults[faults > 0], return_counts=True), strict=True):
        reason = _ROW_FAULTS[code - 1]
        refused[reason] = refused.get(reason, 0) + int(count)
    good = np.flatnonzero(faults == 0)
    return Intake(readings=readings.take(pa.array(good)), offsets=offsets[good], dead_letters=letters, refused=refused)


def _decoded_at_once(columns: _Columns, settings: StreamSettings) -> _Decoded | None:
    """Where every record is one sound JSON reading, the usual case; None where they have to be taken one by one."""
    values = [value for value in columns.values if value is not None]
    if len(values) != len(columns.values) or not values or values[0][:1] != b"{" or not all(columns.keys):
        return None
    if max(map(len, values)) > settings.max_message_bytes:
        return None
    rows = decode_json_run(values)
    return None if rows is None else _Decoded(columns_of(rows), np.arange(len(rows)), [])


def _decoded_singly(partition: int, columns: _Columns, settings: StreamSettings) -> _Decoded:
    parts: list[pa.RecordBatch] = []
    owners: list[npt.NDArray[np.int64]] = []
    run: list[JsonReading] = []
    run_owners: list[int] = []
    letters: list[DeadLetter] = []

    def close_run() -> None:
        if run:
            parts.append(columns_of(run))
            owners.append(np.array(run_owners, np.int64))
            run.clear()
            run_owners.clear()

    for index, (key, content) in enumerate(zip(columns.keys, columns.values, strict=True)):
        try:
            value = _envelope(key, content, settings.max_message_bytes)
            if value[:4] == ARROW_MAGIC:
                batch = decode_arrow(value)
                close_run()
                parts.append(batch)
                owners.append(np.full(batch.num_rows, index, np.int64))
            elif value[:1] == b"{":
                run.append(decode_json(value))
                run_owners.append(index)
            else:
                decode_arrow(value)
        except PoisonMessage as poison:
            message = columns.message(index)
            letters.append(DeadLetter(partition=partition, message=message, reason=poison.reason, detail=poison.detail))
    close_run()
    if not parts:
        return _Decoded(columns_of([]), np.empty(0, np.int64), letters)
    readings = parts[0] if len(parts) == 1 else pa.concat_batches(parts)
    return _Decoded(readings, owners[0] if len(owners) == 1 else np.concatenate(owners), letters)


def _envelope(key: bytes | None, value: bytes | None, longest: int) -> bytes:
    if not value:
        raise PoisonMessage("empty_message", "the message has no value")
    if len(value) > longest:
        raise PoisonMessage("too_large", f"{len(value)} bytes; at most {longest} are taken")
    if not key:
        raise PoisonMessage("null_key", "the message has no key; the machine_id is expected")
    return value


def _row_faults(
    readings: pa.RecordBatch, owner: npt.NDArray[np.int64], columns: _Columns, settings: StreamSettings
) -> npt.NDArray[np.int8]:
    """Of each row: 0 where it is good, else 1 + the index of its reason in _ROW_FAULTS."""
    value = _filled(readings.column("value"), np.float64, 0.0)
    event = _filled(readings.column("event_time").cast(pa.int64()), np.int64, 0)
    record_us = columns.stamps_ms[owner] * 1000
    # a producer may set any timestamp; beyond the year 9999 nothing is shown, stored or believed
    latest = np.minimum(record_us + settings.max_future_skew // _MICROSECOND, _LAST_MOMENT)
    masks = (
        _any_null(readings),
        _bad_ids(readings),
        _key_mismatch(readings, owner, columns.keys),
        ~np.isfinite(value),
        np.abs(value) > LARGEST_VALUE,
        event > latest,
        event < to_microseconds(settings.min_event_time),
    )
    faults = np.zeros(len(owner), np.int8)
    for code in range(len(masks), 0, -1):
        faults[masks[code - 1]] = code
    return faults


def _any_null(readings: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    nulls = np.zeros(readings.num_rows, bool)
    for name in ("machine_id", "sensor_id", "event_time", "value"):
        column = readings.column(name)
        if column.null_count:
            nulls |= column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _bad_ids(readings: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    bad = np.zeros(readings.num_rows, bool)
    for name in ("machine_id", "sensor_id"):
        length = _filled(pc.utf8_length(readings.column(name)), np.int32, 1)
        bad |= (length == 0) | (length > MAX_ID_LENGTH)
    return bad


def _key_mismatch(
    readings: pa.RecordBatch, owner: npt.NDArray[np.int64], of_records: Sequence[bytes | None]
) -> npt.NDArray[np.bool_]:
    keys = pa.array(of_records, pa.binary())
    same = pc.equal(readings.column("machine_id").cast(pa.binary()), keys.take(pa.array(owner)))
    matches: npt.NDArray[np.bool_] = pc.fill_null(same, True).to_numpy(zero_copy_only=False)
    return ~matches


def _row_letters(
    partition: int,
    columns: _Columns,
    readings: pa.RecordBatch,
    owner: npt.NDArray[np.int64],
    faults: npt.NDArray[np.int8],
) -> list[DeadLetter]:
    """One letter per message and reason, naming the rows; a message of one bad row is refused as a whole."""
    sizes = np.bincount(owner, minlength=len(columns.records))
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    bad = np.flatnonzero(faults)
    pairs = owner[bad] * 16 + faults[bad]
    order = np.argsort(pairs, kind="stable")
    distinct_pairs, begins = np.unique(pairs[order], return_index=True)
    letters = []
    for pair, rows in zip(distinct_pairs, np.split(bad[order], begins[1:]), strict=True):
        index, reason = int(pair) // 16, _ROW_FAULTS[int(pair) % 16 - 1]
        message = columns.message(index)
        whole = (message.value or b"")[:1] == b"{"
        letters.append(
            DeadLetter(
                partition=partition,
                message=message,
                reason=reason,
                detail=_told(reason, readings, int(rows[0]), message),
                rows=None if whole else tuple(int(row - first[index]) for row in rows),
            )
        )
    return letters


def _told(reason: str, readings: pa.RecordBatch, row: int, message: Message) -> str:
    if reason in ("future_time", "ancient_time"):
        # as text, since a timestamp may lie beyond what datetime holds
        text = readings.column("event_time").slice(row, 1).cast(pa.int64())[0].as_py()
        return f"event_time {text} us since 1970; the record's timestamp is {message.timestamp} ms"
    if reason == "key_mismatch":
        return f"key {message.key!r}, machine_id {readings.column('machine_id')[row].as_py()!r}"[:300]
    if reason == "missing_field":
        names = [n for n in ("machine_id", "sensor_id", "event_time", "value") if not readings.column(n)[row].is_valid]
        return f"null in {', '.join(names)}"
    if reason == "bad_id":
        return f"ids have 1 to {MAX_ID_LENGTH} characters"
    return f"value {readings.column('value')[row].as_py()!r}"


def _filled(column: Any, kind: type, instead: float) -> npt.NDArray[Any]:
    """A column as numpy; null becomes `instead` (nulls are a fault of their own)."""
    if column.null_count:
        column = column.fill_null(instead)
    return np.asarray(column.to_numpy(zero_copy_only=False), kind)
