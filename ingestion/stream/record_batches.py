"""Kafka's record batches, as the broker sends them, to columns: a whole fetch in one go.

A decoder that makes an object of every record costs more than all that the stream does with a small reading. Here only
the records' lengths are walked one by one, since each says where the next begins; everything else of them is read as
columns by numpy, and keys and values stay where they are in the decompressed bytes.

The format is Kafka's message format 2; batches of older segments are left to aiokafka's own decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c

from ingestion.records import NO_BYTES, Headers, Message, Records
from ingestion.stream.compression import decompressed

Ints = npt.NDArray[np.int64]

_HEAD = struct.Struct(">qiibIhiqqqhii")
_LOG_OVERHEAD = 12  # base offset and length, which are not counted in the length
_MAGIC_AT = 16
_CHECKED_FROM = 21  # the checksum is of everything from the attributes on
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_PADDING = bytes(16)  # a number that is cut off may be read past the end before its record is refused


class _Head(NamedTuple):
    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    checksum: int
    attributes: int
    last_offset_delta: int
    first_stamp: int
    last_stamp: int
    producer: int
    producer_epoch: int
    base_sequence: int
    records: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetch brought of one partition: bytes, the offset that was asked for, and the one to ask for next."""

    data: bytes
    offset: int
    next_offset: int


def fetched(data: bytes, offset: int) -> Fetched:
    """The whole batches at the beginning of a fetch's bytes; the broker may cut the last one off."""
    next_offset = offset
    for at, _ in _spans(data):
        if data[at + _MAGIC_AT] < 2:
            next_offset = max(next_offset, int.from_bytes(data[at : at + 8]) + 1)
        else:
            head = _Head._make(_HEAD.unpack_from(data, at))
            next_offset = max(next_offset, head.base_offset + head.last_offset_delta + 1)
    return Fetched(data, offset, next_offset)


def holds_a_batch(data: bytes) -> bool:
    return next(_spans(data), None) is not None


def records_of(found: Fetched) -> Records:
    """The fetch's records from the offset on that was asked for. Raises CorruptRecordException."""
    parts: list[bytes] = []
    heads: list[_Head] = []
    starts: list[int] = []
    size = 0
    for at, end in _spans(found.data):
        if found.data[at + _MAGIC_AT] < 2:
            return _of_older_format(found)
        head = _Head._make(_HEAD.unpack_from(found.data, at))
        if crc32c(memoryview(found.data)[at + _CHECKED_FROM : end]) != head.checksum:
            raise CorruptRecordException(f"the batch at offset {head.base_offset} does not have its checksum")
        if head.attributes & _CONTROL:
            continue
        payload = decompressed(head.attributes & _CODEC, memoryview(found.data)[at + _HEAD.size : end])
        _walk(payload, head, size, starts)
        heads.append(head)
        parts.append(payload)
        size += len(payload)
    parts.append(_PADDING)
    columns = _columns(b"".join(parts), np.array(starts, np.int64), heads, found.next_offset)
    return columns.since(found.offset)


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """First byte and end of each whole batch."""
    at = 0
    while at + _LOG_OVERHEAD <= len(data):
        end = at + _LOG_OVERHEAD + int.from_bytes(data[at + 8 : at + 12])
        if end > len(data):
            return
        if end <= at + _MAGIC_AT:
            raise CorruptRecordException(f"a batch of {end - at} bytes is too short to be one")
        yield at, end
        at = end


def _walk(payload: bytes, head: _Head, base: int, starts: list[int]) -> None:
    """Append where each record's length stands, counted from `base`; a record's length says where the next one is."""
    at = 0
    append = starts.append
    try:
        for _ in range(head.records):
            append(base + at)
            byte = payload[at]
            if byte < 0x80:
                at += 1 + (byte >> 1)
                continue
            length = byte & 0x7F
            byte = payload[at + 1]
            if byte < 0x80:
                at += 2 + ((length | byte << 7) >> 1)
                continue
            at += 1
            shift = 7
            while byte > 0x7F:
                length |= (byte & 0x7F) << shift
                at += 1
                byte = payload[at]
                shift += 7
            at += 1 + ((length | byte << shift) >> 1)
    except IndexError:
        at = -1
    if at != len(payload):
        raise CorruptRecordException(f"the batch at offset {head.base_offset} is not of {head.records} whole records")


def _columns(data: bytes, starts: Ints, heads: Sequence[_Head], next_offset: int) -> Records:
    held = np.frombuffer(data, np.uint8)
    counts = [head.records for head in heads]

    def of_batch(values: list[int]) -> Ints:
        return np.repeat(np.array(values, np.int64), counts)

    length, at = _numbers(held, starts)
    end = at + length
    _check(length >= 0, end <= len(data) - len(_PADDING))
    stamp_delta, at = _numbers(held, at + 1)  # after the attributes, which mean nothing yet
    offset_delta, at = _numbers(held, at)
    key_length, key_at = _numbers(held, at)
    key_end = key_at + np.maximum(key_length, 0)
    _check(key_length >= -1, key_end < end)
    value_length, value_at = _numbers(held, key_end)
    value_end = value_at + np.maximum(value_length, 0)
    _check(value_length >= -1, value_end < end)
    headers, at = _numbers(held, value_end)
    _check(headers >= 0, (headers > 0) | (at == end))
    stamps = of_batch([head.first_stamp for head in heads]) + stamp_delta
    appended = of_batch([head.last_stamp if head.attributes & _APPEND_TIME else 0 for head in heads])
    is_appended = of_batch([head.attributes & _APPEND_TIME for head in heads]) != 0
    return Records(
        data=data,
        offsets=of_batch([head.base_offset for head in heads]) + offset_delta,
        stamps_ms=np.where(is_appended, appended, stamps),
        key_at=np.where(key_length < 0, NO_BYTES, key_at),
        key_end=np.where(key_length < 0, NO_BYTES, key_end),
        value_at=np.where(value_length < 0, NO_BYTES, value_at),
        value_end=np.where(value_length < 0, NO_BYTES, value_end),
        next_offset=next_offset,
        headers={
            int(place): _headers(data, int(at[place]), int(headers[place]), int(end[place]))
            for place in np.flatnonzero(headers)
        },
    )


def _numbers(held: npt.NDArray[np.uint8], at: Ints) -> tuple[Ints, Ints]:
    """The zigzag varints that begin at these places, and the places behind them."""
    byte = held[at].astype(np.int64)
    value = byte & 0x7F
    at = at + 1
    longer = np.flatnonzero(byte > 0x7F)
    shift = 7
    while len(longer):
        if shift > 63:
            raise CorruptRecordException("a number of a record has more than 64 bits")
        where = at[longer]
        _check(where < len(held))
        byte = held[where].astype(np.int64)
        value[longer] |= (byte & 0x7F) << shift
        at[longer] = where + 1
        longer = longer[byte > 0x7F]
        shift += 7
    return (value.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(value & 1), at


def _check(*conditions: npt.NDArray[np.bool_]) -> None:
    if not all(condition.all() for condition in conditions):
        raise CorruptRecordException("a record's parts do not fit into its length")


def _headers(data: bytes, at: int, count: int, end: int) -> Headers:
    found = []
    for _ in range(count):
        texts: list[bytes] = []
        for _ in range(2):
            length, at = _number(data, at)
            if length < -1 or at + length > end:
                raise CorruptRecordException("a record's headers do not fit into its length")
            texts.append(data[at : at + max(length, 0)])
            at += max(length, 0)
        found.append((texts[0].decode(errors="replace"), texts[1]))
    if at != end:
        raise CorruptRecordException("a record is longer than its headers")
    return tuple(found)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, places = _numbers(np.frombuffer(data, np.uint8), np.array([at], np.int64))
    return int(value[0]), int(places[0])


def _of_older_format(found: Fetched) -> Records:
    batches = MemoryRecords(found.data)
    messages = []
    while batches.has_next():
        batch = batches.next_batch()
        if batch is None or not batch.validate_crc():
            raise CorruptRecordException(f"a batch after offset {found.offset} does not have its checksum")
        if batch.is_control_batch:
            continue
        for record in batch:
            stamp = -1 if record.timestamp is None else record.timestamp
            headers = tuple((name, value or b"") for name, value in record.headers)
            messages.append(Message(record.offset, stamp, record.key, record.value, headers))
    return Records.of(messages, next_offset=found.next_offset).since(found.offset)
