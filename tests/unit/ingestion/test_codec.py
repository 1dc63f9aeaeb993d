"""Bytes and readings: round trips, and a true reason for everything that is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from ingestion.codec import REASONS, encode_batch, encode_reading
from ingestion.errors import PoisonMessage
from ingestion.json_batches import decode, encode_readings
from ingestion.reading import READING_SCHEMA, Reading, to_record_batch

READING = Reading(
    machine_id="pump-1",
    sensor_id="pump-1/flow",
    event_time=datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC),
    value=42.5,
    unit="m3/h",
    sequence=7,
)
BARE = Reading(machine_id="p", sensor_id="p/ü", event_time=datetime(2026, 3, 1, tzinfo=UTC), value=-0.0)


@pytest.mark.parametrize("reading", [READING, BARE])
def test_a_reading_comes_back(reading: Reading) -> None:
    for encoded in (encode_reading(reading), encode_batch(to_record_batch([reading]))):
        assert decode(encoded).to_pylist() == to_record_batch([reading]).to_pylist()


def test_the_json_form_is_the_documented_one() -> None:
    assert json.loads(encode_reading(READING)) == {
        "machine_id": "pump-1",
        "sensor_id": "pump-1/flow",
        "event_time": "2026-03-01T12:30:00.123456Z",
        "value": 42.5,
        "unit": "m3/h",
        "sequence": 7,
    }
    assert json.loads(encode_reading(BARE)).keys() == {"machine_id", "sensor_id", "event_time", "value"}


def test_a_batch_as_single_messages() -> None:
    assert encode_readings(to_record_batch([READING, BARE])) == [encode_reading(READING), encode_reading(BARE)]


def test_another_zone_is_the_same_instant() -> None:
    there = READING.event_time.astimezone(timezone(timedelta(hours=9)))
    message = json.loads(encode_reading(READING)) | {"event_time": there.isoformat()}
    assert decode(json.dumps(message).encode())["event_time"][0].as_py() == READING.event_time


def test_unknown_fields_are_ignored() -> None:
    message = json.loads(encode_reading(READING)) | {"site": "north", "nested": {"a": [1, 2]}}
    assert decode(json.dumps(message).encode()).to_pylist() == to_record_batch([READING]).to_pylist()
    batch = to_record_batch([READING])
    wider = pa.RecordBatch.from_arrays([*batch.columns, pa.array(["north"])], names=[*batch.schema.names, "site"])
    assert decode(encode_batch(wider)).to_pylist() == batch.to_pylist()


def test_a_batch_with_other_types_of_the_same_meaning() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "value": pa.array([1, 2], pa.int32()),
            "machine_id": pa.array(["m", "m"], pa.large_string()),
            "sensor_id": ["m/a", "m/b"],
            "event_time": pa.array([1_700_000_000_000_000_999] * 2, pa.timestamp("ns", tz="Asia/Tokyo")),
        }
    )
    found = decode(encode_batch(batch))
    assert found.schema.names == READING_SCHEMA.names
    assert found["value"].to_pylist() == [1.0, 2.0]
    assert found["event_time"].cast(pa.int64()).to_pylist() == [1_700_000_000_000_000] * 2
    assert found["sequence"].null_count == 2


def changed(**fields: Any) -> bytes:
    message = json.loads(encode_reading(READING)) | fields
    return json.dumps({name: value for name, value in message.items() if value != "absent"}).encode()


def ended_early(stream: bytes) -> bytes:
    """A zero where the length of the batch was, which ends a stream."""
    head = 8 + int.from_bytes(stream[4:8], "little")
    return stream[:head] + bytes(8) + stream[head + 8 :]


def batch_with(**columns: Any) -> bytes:
    batch = to_record_batch([READING])
    held = {name: batch.column(name) for name in batch.schema.names} | columns
    return encode_batch(pa.RecordBatch.from_pydict({name: array for name, array in held.items() if array is not None}))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty_message"),
        (b"[]", "unknown_encoding"),
        (b"\x00\x00\x00\x00\x05abc", "unknown_encoding"),
        (b"{", "bad_json"),
        (b'{"machine_id": "a", NaN}', "bad_json"),
        (encode_reading(READING)[:-1], "bad_json"),
        (encode_reading(READING) + b"x", "bad_json"),
        (encode_reading(READING).replace(b"42.5", b"NaN"), "bad_json"),
        (encode_reading(READING).replace(b"42.5", b"-Infinity"), "bad_json"),
        (encode_reading(READING).replace(b"42.5", b"1e400"), "not_finite"),
        (encode_reading(READING).replace(b"pump-1", b"\xc3\x28"), "invalid_utf8"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "too_deep"),
        (b"{}", "missing_field"),
        (changed(value="absent"), "missing_field"),
        (changed(event_time=None), "missing_field"),
        (changed(value="42"), "wrong_type"),
        (changed(value=True), "wrong_type"),
        (changed(machine_id=5), "wrong_type"),
        (changed(unit=5), "wrong_type"),
        (changed(sequence=1.5), "wrong_type"),
        (changed(sequence=2**63), "wrong_type"),
        (changed(event_time=1_700_000_000), "wrong_type"),
        (changed(event_time="yesterday"), "bad_time"),
        (changed(event_time="2026-03-01T12:00:00"), "bad_time"),
        (changed(event_time="2026-02-30T12:00:00Z"), "bad_time"),
        (b"\xff\xff\xff\xff", "bad_arrow"),
        (encode_batch(to_record_batch([READING]))[:300], "bad_arrow"),
        (ended_early(encode_batch(to_record_batch([READING]))), "bad_arrow"),
        (encode_batch(to_record_batch([READING])) + b"x", "bad_arrow"),
        (batch_with(value=None), "wrong_schema"),
        (batch_with(value=pa.array(["42"])), "wrong_schema"),
        (batch_with(sequence=pa.array([1.5])), "wrong_schema"),
        (batch_with(machine_id=pa.array([1]).dictionary_encode()), "wrong_schema"),
        (batch_with(event_time=pa.array([1], pa.timestamp("us"))), "bad_time"),
        (batch_with(event_time=pa.array([2**62], pa.timestamp("s", tz="UTC"))), "bad_time"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    with pytest.raises(PoisonMessage) as refused:
        decode(value)
    assert refused.value.reason == reason
    assert reason in REASONS
    assert refused.value.detail
