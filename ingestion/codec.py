"""Bytes on the wire <-> readings. Pure: no clock, no Kafka.

Two encodings, told apart by the first bytes of the message's value:

- `{`              one reading: a JSON object with `machine_id`, `sensor_id`, `event_time` (RFC 3339 with a zone),
                   `value`, and optionally `unit` and `sequence`. Further fields are ignored. Or many of them: see
                   `ingestion.json_batches`.
- FF FF FF FF      many readings: an Arrow IPC stream with the columns of READING_SCHEMA, as `ingestion.arrow_columns`
                   takes them.

Decoding refuses a whole message (PoisonMessage). What is wrong with single rows of a well-formed message (NaN, an empty
id, a clock that is off) is found by `ingestion.intake`, so that one bad row does not take the other 499 with it.

Reasons are stable short codes, the same in dead-letter headers, counters and pages: REASONS.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from ingestion.arrow_columns import NULLABLE_SCHEMA, check_schema, conform
from ingestion.errors import PoisonMessage
from ingestion.offences import offence_of, told
from ingestion.plain_streams import ARROW_MAGIC, plain_batch, remember
from ingestion.reading import READING_SCHEMA, Reading
from ingestion.written_times import check_time, times_of

MAX_ID_LENGTH = 256

REASONS = {
    "empty_message": "the message has no value",
    "too_large": "the value is longer than the limit",
    "unknown_encoding": "the value starts neither with `{` nor with an Arrow stream's four FF bytes",
    "invalid_utf8": "a JSON value that is not UTF-8",
    "bad_json": "not a JSON object, or cut off; NaN and Infinity are not JSON",
    "too_deep": "nested deeper than the parser allows",
    "missing_field": "a required field is missing or null",
    "wrong_type": "a field of another type",
    "bad_time": "an event_time that is no RFC 3339 time, or has no zone, or is beyond what a timestamp holds",
    "bad_arrow": "an Arrow stream that is cut off or damaged",
    "wrong_schema": "an Arrow stream without the columns of a reading, or JSON columns of different lengths",
    "null_key": "the message has no key, so its machine's order is not kept",
    "key_mismatch": "the key is not the reading's machine_id",
    "bad_id": "a machine_id or sensor_id that is empty or too long",
    "not_finite": "a value that is NaN or infinite",
    "out_of_range": "a value beyond any unit's range (1e150), whose square would overflow",
    "future_time": "an event_time too far ahead of the record's own timestamp",
    "ancient_time": "an event_time before the earliest that is believed",
    "wrong_field": "a field that a stream's definition declares is of another type",
}
"""Every reason for which a message or a row of one goes to the dead-letter topic."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class JsonReading(msgspec.Struct, gc=False):
    """The JSON form of a reading, as the decoder checks it; the time as it was written, for `columns_of` to read."""

    machine_id: str
    sensor_id: str
    event_time: str
    value: float
    unit: str | None = None
    sequence: Int64 | None = None


_json_decoder = msgspec.json.Decoder(JsonReading)
_json_encoder = msgspec.json.Encoder()


def encode_reading(reading: Reading) -> bytes:
    """One reading as JSON; optional fields that are None are left out."""
    return _encode_json(
        reading.machine_id, reading.sensor_id, reading.event_time, reading.value, reading.unit, reading.sequence
    )


def encode_batch(batch: pa.RecordBatch) -> bytes:
    """Many readings of one machine as an uncompressed Arrow IPC stream: compression is Kafka's work."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


UNREADABLE_JSON = (msgspec.DecodeError, ValueError, RecursionError, OverflowError)
"""What decoding a JSON message may raise."""


def poison_of(error: Exception, value: bytes) -> PoisonMessage:
    """Why a JSON message cannot be read, of what decoding it has raised (one of UNREADABLE_JSON)."""
    if isinstance(error, UnicodeDecodeError):
        return PoisonMessage("invalid_utf8", f"byte {error.start}: {error.reason}")
    if isinstance(error, msgspec.ValidationError):
        return PoisonMessage(offence_of(str(error)), told(str(error), value))
    if isinstance(error, RecursionError):
        return PoisonMessage("too_deep", "nested deeper than the parser allows")
    return PoisonMessage("bad_json", str(error))


def decode_json(value: bytes) -> JsonReading:
    """One JSON message. Raises PoisonMessage."""
    try:
        if not value.isascii():
            value.decode()
        row = _json_decoder.decode(value)
        check_time(row.event_time)
    except UNREADABLE_JSON as error:
        raise poison_of(error, value) from error
    return row


def decode_json_lines(lines: bytes) -> list[JsonReading]:
    """JSON objects, whose times nobody has checked. Raises one of UNREADABLE_JSON. It looks for no ends of lines."""
    if not lines.isascii():
        lines.decode()
    return _json_decoder.decode_lines(lines)


def columns_of(rows: Sequence[JsonReading]) -> pa.RecordBatch:
    """Decoded JSON readings as columns, in their order. Raises msgspec.ValidationError where a time is none."""
    return pa.RecordBatch.from_arrays(
        [
            _texts([row.machine_id for row in rows]),
            _texts([row.sensor_id for row in rows]),
            times_of([row.event_time for row in rows]),
            pa.array([row.value for row in rows], pa.float64()),
            _texts([row.unit for row in rows]),
            pa.array([row.sequence for row in rows], pa.int64()),
        ],
        schema=NULLABLE_SCHEMA,
    )


def _texts(texts: Sequence[str | None]) -> Any:
    """Most columns of texts say the same in every row, which is seen sooner than they are copied."""
    if texts and texts[0] == texts[-1] and texts.count(texts[0]) == len(texts):
        return pa.repeat(pa.scalar(texts[0], pa.string()), len(texts))
    return pa.array(texts, pa.string())


UNREADABLE_ARROW = (
    pa.ArrowException,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    MemoryError,
    TypeError,
    KeyError,
)
"""What reading an Arrow message may raise."""


def decode_arrow(value: bytes | pa.Buffer) -> pa.RecordBatch:
    """An Arrow IPC stream of readings. Raises PoisonMessage; never trusts a buffer before it has been validated."""
    begin = bytes(memoryview(value)[:4])
    if begin != ARROW_MAGIC:
        if not begin:
            raise PoisonMessage("empty_message", "the value is empty")
        raise PoisonMessage(
            "unknown_encoding", f"starts with {begin!r}; a JSON object or an Arrow IPC stream is expected"
        )
    try:
        data = pa.py_buffer(value)
        batch = plain_batch(data, bytes(data), 0, data.size)
        if batch is None:
            return _any_batch(data)
        batch.validate(full=True)
        return batch
    except PoisonMessage:
        raise
    except UNREADABLE_ARROW as error:
        raise PoisonMessage("bad_arrow", str(error).splitlines()[0][:300] if str(error) else repr(error)) from error


def _any_batch(data: pa.Buffer) -> pa.RecordBatch:
    source = pa.BufferReader(data)
    with pa.ipc.open_stream(source) as stream:
        schema = stream.schema
        is_plain = schema.equals(READING_SCHEMA)
        if not is_plain:
            check_schema(schema)
        batches = []
        for batch in stream:
            # offsets and lengths come from the sender: unchecked, they are read as memory addresses
            batch.validate(full=True)
            batches.append(batch)
        if source.tell() < data.size:
            # a zero where a batch's length was ends a stream, too: what follows would be lost without a trace
            raise PoisonMessage("bad_arrow", f"the stream ends at byte {source.tell()} of {data.size}")
    if is_plain and len(batches) == 1:
        remember(data)
        return pa.RecordBatch.from_arrays(batches[0].columns, schema=NULLABLE_SCHEMA)
    return conform(pa.Table.from_batches(batches, schema=schema))


def _encode_json(
    machine_id: str, sensor_id: str, event_time: datetime, value: float, unit: str | None, sequence: int | None
) -> bytes:
    fields: dict[str, object] = {
        "machine_id": machine_id,
        "sensor_id": sensor_id,
        "event_time": event_time.astimezone(UTC),
        "value": value,
    }
    if unit is not None:
        fields["unit"] = unit
    if sequence is not None:
        fields["sequence"] = sequence
    return _json_encoder.encode(fields)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since the Unix epoch, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)
