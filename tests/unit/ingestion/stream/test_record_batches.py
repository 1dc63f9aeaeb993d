"""Fetched bytes to columns, beside aiokafka's own decoder."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.records import Message
from ingestion.stream import compression
from ingestion.stream.record_batches import fetched, holds_a_batch, records_of
from tests.effort import examples

compression.install()
GZIP = 1
STAMP = 1_772_000_000_000

content = st.one_of(st.none(), st.binary(max_size=5), st.binary(min_size=60, max_size=200))
header = st.tuples(st.text(max_size=5), st.binary(max_size=5))
record = st.tuples(st.integers(-(2**40), 2**40), content, content, st.lists(header, max_size=2))
batch = st.lists(record, min_size=1, max_size=5)


def built(records: Sequence[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]], base: int) -> bytes:
    """A batch whose first record has the offset `base`."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=GZIP if base % 2 else 0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for place, (stamp, key, value, headers) in enumerate(records):
        assert builder.append(place, timestamp=stamp, key=key, value=value, headers=headers) is not None
    made = bytearray(builder.build())
    made[:8] = base.to_bytes(8)  # the broker writes it, outside of the checksum
    return bytes(made)


def expected(batches: list[list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]]]) -> list[Message]:
    rows = [row for rows in batches for row in rows]
    return [
        Message(10 + place, stamp, key, value, tuple(headers))
        for place, (stamp, key, value, headers) in enumerate(rows)
    ]


def joined(batches: list[list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]]]) -> bytes:
    data, offset = b"", 10
    for rows in batches:
        data += built(rows, offset)
        offset += len(rows)
    return data


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(batch, max_size=4), st.integers(0, 3), st.binary(max_size=11))
def test_a_fetch_holds_what_was_sent(
    batches: list[list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]]], skipped: int, cut: bytes
) -> None:
    found = fetched(joined(batches) + cut, 10 + skipped)
    records = records_of(found)
    messages = [message for message in expected(batches) if message.offset >= 10 + skipped]
    assert [records.message(place) for place in range(len(records))] == messages
    assert found.next_offset == records.next_offset == max(10 + skipped, 10 + sum(map(len, batches)))
    assert records.keys().to_pylist() == [message.key for message in messages]


def test_a_batch_that_is_cut_off_waits_for_the_next_fetch() -> None:
    whole = built([(STAMP, b"m", b"one", [])], 0)
    second = built([(STAMP, b"m", b"two", [])], 1)
    found = fetched(whole + second[:-1], 0)
    assert found.next_offset == 1
    assert len(records_of(found)) == 1
    assert holds_a_batch(whole)
    assert not holds_a_batch(whole[:-1])
    assert not holds_a_batch(b"")


def test_a_damaged_batch_is_refused() -> None:
    data = bytearray(built([(STAMP, b"m", b"value", [])], 0))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException, match="checksum"):
        records_of(fetched(bytes(data), 0))


@pytest.mark.parametrize("length", [0x01, 0x7E, 0x80])
def test_a_record_that_does_not_fit_its_batch_is_refused(length: int) -> None:
    data = bytearray(built([(STAMP, b"m", b"value", [])], 0))
    data[61] = length  # the varint of the first record's length
    data[17:21] = crc32c(bytes(data[21:])).to_bytes(4)
    with pytest.raises(CorruptRecordException):
        records_of(fetched(bytes(data), 0))


@pytest.mark.parametrize("place", range(62, 74))
@pytest.mark.parametrize("byte", [0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_no_byte_of_a_record_leads_out_of_it(place: int, byte: int) -> None:
    data = bytearray(built([(STAMP, b"m", b"value", [])], 0))
    data[place] = byte
    data[17:21] = crc32c(bytes(data[21:])).to_bytes(4)
    try:
        records = records_of(fetched(bytes(data), 0))
    except CorruptRecordException:
        return
    assert len(records.data) - 16 == len(data) - 61
    assert all(len(records.value(at) or b"") <= 7 for at in range(len(records)))


def test_control_batches_hold_no_record_but_count_as_read() -> None:
    data = bytearray(built([(STAMP, b"\0\0\0\1", b"\0\0\0\0\0\0", [])], 6))
    data[22] |= 0x20
    data[17:21] = crc32c(bytes(data[21:])).to_bytes(4)
    found = fetched(bytes(data), 6)
    assert (len(records_of(found)), records_of(found).next_offset) == (0, 7)


def test_the_brokers_time_counts_where_the_topic_says_so() -> None:
    data = bytearray(built([(STAMP, b"m", b"1", []), (STAMP + 5, b"m", b"2", [])], 0))
    data[22] |= 0x08
    data[35:43] = (STAMP + 9).to_bytes(8)
    data[17:21] = crc32c(bytes(data[21:])).to_bytes(4)
    assert records_of(fetched(bytes(data), 0)).stamps_ms.tolist() == [STAMP + 9] * 2


def test_batches_of_the_older_formats_are_read() -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 20)
    builder.append(0, timestamp=STAMP, key=b"m", value=b"old")
    records = records_of(fetched(bytes(builder.build()), 0))
    assert [records.message(0)] == [Message(0, STAMP, b"m", b"old")]
