"""From Kafka messages to good readings and dead letters: a decision on every message and every row. Pure, vectorised.

The same messages give the same answer whenever they are read: times are compared with the record's own timestamp, never
with the clock on the wall.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.arrow_fetch import decode_streams
from ingestion.codec import (
    EPOCH,
    MAX_ID_LENGTH,
    JsonReading,
    columns_of,
    decode_json,
    to_microseconds,
)
from ingestion.coded_ids import with_coded_ids
from ingestion.errors import PoisonMessage
from ingestion.json_batches import decode, form_of, lines_of
from ingestion.json_fetch import decode_values
from ingestion.offences import shown
from ingestion.plain_streams import ARROW_MAGIC
from ingestion.reading import REQUIRED
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings

_MICROSECOND = timedelta(microseconds=1)
_LAST_MOMENT = to_microseconds(datetime(9999, 12, 1, tzinfo=UTC))
LARGEST_VALUE = 1e150
"""Beyond it the sum of squares overflows; no quantity of a machine comes near."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A message, or some rows of one, that can never be counted.

    rows  indexes of the refused rows of a message of many readings; None where the whole message is refused
    """

    partition: int
    message: Message
    reason: str
    detail: str
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """Good readings in offset order, and what was refused.

    readings      READING_SCHEMA's columns; `machine_id` and `sensor_id` may be dictionary-encoded
    offsets       of each reading's message
    dead_letters  in offset order
    refused       readings refused, by reason (a whole message counts as one)
    """

    readings: pa.RecordBatch
    offsets: npt.NDArray[np.int64]
    dead_letters: Sequence[DeadLetter]
    refused: dict[str, int] = field(default_factory=dict)

    def machines(self) -> list[str]:
        """Those of the readings."""
        machines: list[str] = self.readings.column("machine_id").unique().to_pylist()
        return machines


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

_PARTS = 8
_SMALLEST_PART = 8192
"""Bytes of messages up to which it is not worth while to look for those that are as usual."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Readings in offset order, `owner` the index of each one's record; and what cannot be read.

    readings  as in NULLABLE_SCHEMA; `machine_id` and `sensor_id` may be dictionary-encoded
    lost  of the records with lines that cannot be read, which those are
    """

    readings: pa.RecordBatch
    owner: npt.NDArray[np.int64]
    letters: list[DeadLetter]
    lost: dict[int, list[int]] = field(default_factory=dict)


def sift(partition: int, records: Records, settings: StreamSettings) -> Intake:
    """Decode the records of one partition (in offset order) and part the good readings from the refused.

    The ids of the readings are dictionary-encoded where every row is good, since what folds them groups by them.
    """
    decoded = _decoded(partition, records, settings)
    letters = decoded.letters
    refused: dict[str, int] = {}
    for letter in letters:
        refused[letter.reason] = refused.get(letter.reason, 0) + (1 if letter.rows is None else len(letter.rows))
    readings, owner = decoded.readings, decoded.owner
    if readings.num_rows == 0:
        return Intake(readings=readings, offsets=np.empty(0, np.int64), dead_letters=letters, refused=refused)
    coded, are_keys = with_coded_ids(readings, owner, records)
    offsets, latest = records.offsets[owner], _latest(records, settings)[owner]
    if not are_keys:
        are_keys = not _key_mismatch(coded, owner, records).any()
    if _all_are_good(coded, latest, settings, are_keys=are_keys):
        return Intake(readings=coded, offsets=offsets, dead_letters=letters, refused=refused)

    faults = _row_faults(coded, owner, latest, records, settings)
    letters += _row_letters(partition, records, decoded, faults, settings)
    letters.sort(key=lambda letter: letter.message.offset)
    for code, count in zip(*np.unique(faults[faults > 0], return_counts=True), strict=True):
        reason = _ROW_FAULTS[code - 1]
        refused[reason] = refused.get(reason, 0) + int(count)
    good = np.flatnonzero(faults == 0)
    return Intake(readings=readings.take(pa.array(good)), offsets=offsets[good], dead_letters=letters, refused=refused)


def _decoded(partition: int, records: Records, settings: StreamSettings) -> _Decoded:
    """All at once where they are of the usual kind, else in ever smaller parts, so that few odd ones cost little."""
    at_once = _decoded_at_once(records, settings)
    if at_once is not None:
        return at_once
    size = len(records)
    first = (records.value(0) or b"") if size else b""
    if size <= 1 or (records.value_end - records.value_at).sum() <= _SMALLEST_PART or first[:4] == ARROW_MAGIC:
        return _decoded_singly(partition, records, settings)
    bounds = np.linspace(0, size, min(_PARTS, size) + 1).astype(int).tolist()
    ranges = list(itertools.pairwise(bounds))
    parts = [_decoded(partition, records.at(np.arange(*ends)), settings) for ends in ranges]
    return _Decoded(
        pa.concat_batches([part.readings.cast(NULLABLE_SCHEMA) for part in parts]),
        np.concatenate([part.owner + begin for part, (begin, _) in zip(parts, ranges, strict=True)]),
        [letter for part in parts for letter in part.letters],
        {begin + at: rows for part, (begin, _) in zip(parts, ranges, strict=True) for at, rows in part.lost.items()},
    )


def _decoded_at_once(records: Records, settings: StreamSettings) -> _Decoded | None:
    """Where all records are sound and of one kind: Arrow streams, JSON lines, or JSON columns. Else None."""
    if not len(records) or (records.value_end - records.value_at).max() > settings.max_message_bytes:
        return None
    if (records.key_end <= records.key_at).any() or (records.value_end - records.value_at).min() < len(ARROW_MAGIC):
        return None
    found = decode_streams(records) if _begin_with(records, ARROW_MAGIC) else decode_values(records)
    return None if found is None else _Decoded(*found, [])


def _begin_with(records: Records, begin: bytes) -> bool:
    held = np.frombuffer(records.data, np.uint8)
    return all(bool((held[records.value_at + place] == sign).all()) for place, sign in enumerate(begin))


def _decoded_singly(partition: int, records: Records, settings: StreamSettings) -> _Decoded:
    parts: list[pa.RecordBatch] = []
    owners: list[npt.NDArray[np.int64]] = []
    run: list[JsonReading] = []
    run_owners: list[int] = []
    letters: list[DeadLetter] = []
    lost: dict[int, list[int]] = {}

    def close_run() -> None:
        if run:
            parts.append(columns_of(run))
            owners.append(np.array(run_owners, np.int64))
            run.clear()
            run_owners.clear()

    def refuse(index: int, poison: PoisonMessage, rows: tuple[int, ...] | None = None) -> None:
        letter = DeadLetter(
            partition=partition,
            message=records.message(index),
            reason=poison.reason,
            detail=poison.detail,
            rows=rows,
        )
        letters.append(letter)

    for index in range(len(records)):
        try:
            value = _envelope(records.key(index), records.value(index), settings.max_message_bytes)
            form = form_of(value) if value[:1] == b"{" else None
            if form == "lines":
                found = _by_line(value)
                run += found.readings
                run_owners += [index] * len(found.readings)
                for poison, rows in found.poison:
                    refuse(index, poison, rows)
                if found.poison:
                    lost[index] = sorted(row for _, rows in found.poison for row in rows)
            elif value[:1] == b"{" and form is None:
                run.append(decode_json(value))
                run_owners.append(index)
            else:
                batch = decode(value)
                close_run()
                parts.append(batch)
                owners.append(np.full(batch.num_rows, index, np.int64))
        except PoisonMessage as poison:
            refuse(index, poison)
    close_run()
    if not parts:
        return _Decoded(columns_of([]), np.empty(0, np.int64), letters, lost)
    readings = parts[0] if len(parts) == 1 else pa.concat_batches(parts)
    return _Decoded(readings, owners[0] if len(owners) == 1 else np.concatenate(owners), letters, lost)


class _Lines(NamedTuple):
    """The readings of a message of lines; and why lines of it cannot be read, with which those are."""

    readings: list[JsonReading]
    poison: list[tuple[PoisonMessage, tuple[int, ...]]]


def _by_line(value: bytes) -> _Lines:
    readings = []
    first: dict[str, PoisonMessage] = {}
    rows: dict[str, list[int]] = {}
    for number, line in enumerate(lines_of(value)):
        try:
            readings.append(decode_json(line))
        except PoisonMessage as poison:
            first.setdefault(poison.reason, PoisonMessage(poison.reason, f"line {number + 1}: {poison.detail}"))
            rows.setdefault(poison.reason, []).append(number)
    return _Lines(readings, [(first[reason], tuple(found)) for reason, found in rows.items()])


def _envelope(key: bytes | None, value: bytes | None, longest: int) -> bytes:
    if not value:
        raise PoisonMessage("empty_message", "the message has no value")
    if len(value) > longest:
        raise PoisonMessage("too_large", f"{len(value)} bytes; at most {longest} are taken")
    if not key:
        raise PoisonMessage("null_key", "the message has no key; the machine_id is expected")
    return value


def _all_are_good(
    readings: pa.RecordBatch, latest: npt.NDArray[np.int64], settings: StreamSettings, *, are_keys: bool
) -> bool:
    """Whether no row has a fault, by what is least and greatest: which rows those are is asked only where one has.

    readings  without null in what is required, where the answer is yes
    latest    of each row, what its event time may be
    are_keys  whether every machine is its record's key
    """
    if not are_keys or any(readings.column(name).null_count for name in REQUIRED) or _bad_ids(readings).any():
        return False
    event = readings.column("event_time").cast(pa.int64()).to_numpy()
    # a NaN is the greatest of all, and within no bound
    return bool(
        np.abs(readings.column("value").to_numpy()).max() <= LARGEST_VALUE
        and event.min() >= to_microseconds(settings.min_event_time)
        and not (event > latest).any()
    )


def _row_faults(
    readings: pa.RecordBatch,
    owner: npt.NDArray[np.int64],
    latest: npt.NDArray[np.int64],
    records: Records,
    settings: StreamSettings,
) -> npt.NDArray[np.int8]:
    """Of each row: 0 where it is good, else 1 + the index of its reason in _ROW_FAULTS."""
    value = _filled(readings.column("value"), np.float64, 0.0)
    event = _filled(readings.column("event_time").cast(pa.int64()), np.int64, 0)
    masks = (
        _any_null(readings),
        _bad_ids(readings),
        _key_mismatch(readings, owner, records),
        ~np.isfinite(value),
        np.abs(value) > LARGEST_VALUE,
        event > latest,
        event < to_microseconds(settings.min_event_time),
    )
    faults = np.zeros(len(owner), np.int8)
    for code in range(len(masks), 0, -1):
        faults[masks[code - 1]] = code
    return faults


def _latest(records: Records, settings: StreamSettings) -> npt.NDArray[np.int64]:
    """Of each record, the event time (microseconds) up to which its rows are believed."""
    skew = settings.max_future_skew // _MICROSECOND
    # a producer may set any timestamp; beyond the year 9999 nothing is shown, stored or believed
    return np.minimum(records.stamps_ms * 1000 + skew, _LAST_MOMENT)


def _any_null(readings: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    nulls = np.zeros(readings.num_rows, bool)
    for name in REQUIRED:
        column = readings.column(name)
        if column.null_count:
            nulls |= column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _bad_ids(readings: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    bad = np.zeros(readings.num_rows, bool)
    for name in ("machine_id", "sensor_id"):
        column = readings.column(name)
        length = pc.utf8_length(column.dictionary).to_numpy(zero_copy_only=False)
        bad_names = np.append((length == 0) | (length > MAX_ID_LENGTH), False)  # the last stands for null
        if bad_names.any():
            bad |= bad_names[_filled(column.indices, np.int64, len(length))]
    return bad


def _key_mismatch(readings: pa.RecordBatch, owner: npt.NDArray[np.int64], records: Records) -> npt.NDArray[np.bool_]:
    """Rows whose machine is not their record's key; a null is another fault."""
    machines = readings.column("machine_id")
    keys = records.keys().dictionary_encode()
    names = machines.dictionary.cast(pa.binary())
    # of each key its number among the machines, or one that no machine has
    numbers = np.append(_filled(pc.index_in(keys.dictionary, names), np.int64, -2), -2)
    of_record = numbers[_filled(keys.indices, np.int64, len(keys.dictionary))]
    of_row = _filled(machines.indices, np.int64, -1)
    mismatch: npt.NDArray[np.bool_] = (of_record[owner] != of_row) & (of_row >= 0)
    return mismatch


def _row_letters(
    partition: int,
    records: Records,
    decoded: _Decoded,
    faults: npt.NDArray[np.int8],
    settings: StreamSettings,
) -> list[DeadLetter]:
    """One letter per message and reason, naming the rows; a message that is one reading is refused as a whole."""
    readings, owner = decoded.readings, decoded.owner
    sizes = np.bincount(owner, minlength=len(records))
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    bad = np.flatnonzero(faults)
    pairs = owner[bad] * 16 + faults[bad]
    order = np.argsort(pairs, kind="stable")
    distinct_pairs, begins = np.unique(pairs[order], return_index=True)
    letters = []
    for pair, rows in zip(distinct_pairs, np.split(bad[order], begins[1:]), strict=True):
        index, reason = int(pair) // 16, _ROW_FAULTS[int(pair) % 16 - 1]
        message = records.message(index)
        value = message.value or b""
        whole = value[:1] == b"{" and form_of(value) is None
        letters.append(
            DeadLetter(
                partition=partition,
                message=message,
                reason=reason,
                detail=_told(reason, readings, int(rows[0]), message, settings),
                rows=None if whole else _numbers_of(rows - first[index], decoded.lost.get(index, ())),
            )
        )
    return letters


def _numbers_of(places: npt.NDArray[np.int64], lost: Sequence[int]) -> tuple[int, ...]:
    """Which rows of a message they are that stand at these places among those that were read."""
    numbers = places.tolist()
    for row in lost:
        numbers = [number + 1 if number >= row else number for number in numbers]
    return tuple(numbers)


def _told(reason: str, readings: pa.RecordBatch, row: int, message: Message, settings: StreamSettings) -> str:
    """The field, what was found in it, and what is allowed."""
    found = {name: readings.column(name)[row] for name in ("machine_id", "sensor_id", "value")}
    if reason in ("future_time", "ancient_time"):
        moment = _moment(readings.column("event_time").slice(row, 1).cast(pa.int64())[0].as_py())
        if reason == "ancient_time":
            return f"event_time is {moment}; nothing before {settings.min_event_time.isoformat()} is believed"
        ahead = settings.max_future_skew.total_seconds()
        stamped = _moment(message.timestamp * 1000)
        return f"event_time is {moment}; at most {ahead:g} s after the record's timestamp {stamped} are believed"
    if reason == "key_mismatch":
        machine = shown(found["machine_id"].as_py())
        return f"machine_id is {machine} and the message's key {shown(message.key)}; they must be the same"
    if reason == "missing_field":
        names = [n for n in REQUIRED if not readings.column(n)[row].is_valid]
        return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} null; only unit and sequence may be"
    if reason == "bad_id":
        lengths = {name: len(found[name].as_py() or "") for name in ("machine_id", "sensor_id")}
        name, length = next((n, held) for n, held in lengths.items() if not 0 < held <= MAX_ID_LENGTH)
        return f"{name} has {length} characters; 1 to {MAX_ID_LENGTH} are allowed"
    allowed = "a finite number is" if reason == "not_finite" else f"numbers of at most {LARGEST_VALUE:g} are"
    return f"value is {found['value'].as_py()!r}; {allowed} allowed"


def _moment(time_us: int) -> str:
    """As a time; as a number where it lies beyond what a time can be."""
    try:
        return (EPOCH + timedelta(microseconds=time_us)).isoformat()
    except OverflowError:
        return f"{time_us} us since 1970"


def _filled(column: Any, kind: type, instead: float) -> npt.NDArray[Any]:
    """A column as numpy; null becomes `instead` (nulls are a fault of their own)."""
    if column.null_count:
        column = column.fill_null(instead)
    return np.asarray(column.to_numpy(zero_copy_only=False), kind)
