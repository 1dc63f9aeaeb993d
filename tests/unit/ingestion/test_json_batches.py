"""Many readings in one JSON message: written, read, refused row by row, and replayed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ingestion.codec import encode_reading
from ingestion.counted_letters import LetterId
from ingestion.encoding import Encoding
from ingestion.errors import PoisonMessage
from ingestion.intake import Intake, sift
from ingestion.json_batches import ENCODERS, decode, form_of, objects_of
from ingestion.letter import Letter, replayed_value
from ingestion.reading import Reading, to_record_batch
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp() * 1000)


def reading(value: float, at: datetime = NOW, **fields: Any) -> Reading:
    return Reading(**{"machine_id": "m", "sensor_id": "m/a", "event_time": at, "value": value} | fields)


def sifted(*values: bytes) -> Intake:
    records = Records.of([Message(place, STAMP, b"m", value) for place, value in enumerate(values)])
    return sift(0, records, StreamSettings())


ROWS = [
    reading(1.5, unit="bar", sequence=3),
    reading(-2e-7, NOW - timedelta(microseconds=1), sensor_id='m/"\u00e9\n', unit="\u00b0C"),
    reading(3.0, NOW - timedelta(days=40, milliseconds=250), sequence=-(2**63)),
]


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("rows", [ROWS, ROWS[:2], [reading(1.0), reading(2.0)]])
def test_what_is_written_is_read(encoding: Encoding, rows: list[Reading]) -> None:
    batch = to_record_batch(rows)
    value = ENCODERS[encoding](batch)
    assert form_of(value) == {"arrow": None, "json_lines": "lines", "json_columns": "columns"}[encoding]
    assert decode(value).to_pylist() == batch.to_pylist()
    found = sifted(value, value)
    assert found.readings.to_pylist() == batch.to_pylist() * 2
    assert found.offsets.tolist() == [0] * len(rows) + [1] * len(rows)


def test_one_reading_over_several_lines_is_one_reading() -> None:
    value = json.dumps(json.loads(encode_reading(ROWS[0])) | {"tags": [1]}, indent=2).encode()
    assert form_of(value) is None
    assert sifted(value).readings.num_rows == 1


def test_columns_may_be_one_value_for_all_rows() -> None:
    value = b'{"machine_id":"m","sensor_id":["m/a","m/b"],"event_time":"2026-03-01T12:00:00+01:00","value":[1,2.5]}'
    assert decode(value).to_pylist() == [
        {
            "machine_id": "m",
            "sensor_id": sensor,
            "event_time": NOW - timedelta(hours=1),
            "value": held,
            "unit": None,
            "sequence": None,
        }
        for sensor, held in (("m/a", 1.0), ("m/b", 2.5))
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sensor_id": ["m/a"]}, "wrong_schema"),
        ({"sensor_id": None}, "missing_field"),
        ({"sensor_id": ["m/a", None]}, "missing_field"),
        ({"event_time": ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00"]}, "bad_time"),
        ({"event_time": ["2026-03-01T12:00:00Z", "yesterday"]}, "bad_time"),
        ({"event_time": ["2026-03-01T12:00:00Z", "1772366400"]}, "bad_time"),
        ({"value": [1.0, "2"]}, "wrong_type"),
        ({"value": [1.0, [2.0]]}, "wrong_type"),
        ({"sequence": [1, 2**63]}, "wrong_type"),
        ({"unit": 7}, "wrong_type"),
    ],
)
def test_columns_that_do_not_fit_are_refused_whole(fields: dict[str, Any], reason: str) -> None:
    told: dict[str, Any] = {
        "machine_id": "m",
        "sensor_id": "m/a",
        "event_time": "2026-03-01T12:00:00Z",
        "value": [1, 2],
    }
    value = json.dumps(told | fields).encode()
    with pytest.raises(PoisonMessage) as refused:
        decode(value)
    assert refused.value.reason == reason
    (letter,) = sifted(value).dead_letters
    assert (letter.reason, letter.rows, letter.message.value) == (reason, None, value)


def test_columns_say_which_time_is_none() -> None:
    value = b'{"machine_id":"m","sensor_id":"s","event_time":["2026-03-01T12:00:00Z","now"],"value":[1,2]}'
    with pytest.raises(
        PoisonMessage, match=r"^bad_time: field 'event_time'\[1\] is .*; an RFC 3339 time with a zone is needed$"
    ):
        decode(value)


def test_columns_without_rows_are_no_readings() -> None:
    value = b'{"machine_id":"m","sensor_id":[],"event_time":[],"value":[]}'
    assert decode(value).num_rows == 0
    assert sifted(value, value).dead_letters == []


def lines(*rows: bytes) -> bytes:
    return b"\n".join(rows)


GOOD = encode_reading(reading(1.0))
FUTURE = encode_reading(reading(2.0, NOW + timedelta(hours=1)))


def test_bad_lines_do_not_take_the_good_ones_with_them() -> None:
    value = lines(GOOD, b"{", FUTURE, GOOD, b'{"value": "high"}', FUTURE, b"{")
    found = sifted(GOOD, value, GOOD)
    assert found.readings.num_rows == 4
    assert {(letter.reason, letter.rows) for letter in found.dead_letters} == {
        ("bad_json", (1, 6)),
        ("wrong_type", (4,)),
        ("future_time", (2, 5)),
    }
    assert found.refused == {"bad_json": 2, "wrong_type": 1, "future_time": 2}
    assert all(letter.message.value == value for letter in found.dead_letters)


def test_bad_rows_of_columns_are_named_by_their_place() -> None:
    value = ENCODERS["json_columns"](to_record_batch([reading(1.0), reading(1e200), reading(2.0)]))
    (letter,) = sifted(value).dead_letters
    assert (letter.reason, letter.rows) == ("out_of_range", (1,))


def letter(value: bytes, *rows: int) -> Letter:
    return Letter(
        id=LetterId(0, 0),
        stored_at=NOW,
        reason="future_time",
        detail="",
        origin=("readings", 0, 0),
        key=b"m",
        value=value,
        rows=rows,
    )


def test_refused_lines_are_replayed_as_they_were() -> None:
    value = lines(GOOD, b"{", FUTURE)
    assert replayed_value(letter(value, 1, 2), None) == lines(b"{", FUTURE)
    patched = replayed_value(letter(value, 2), {"value": 7})
    assert json.loads(patched) == json.loads(FUTURE) | {"value": 7}


def test_refused_rows_of_columns_are_replayed_as_lines() -> None:
    value = ENCODERS["json_columns"](pa.concat_batches([to_record_batch(ROWS)]))
    replayed = decode(replayed_value(letter(value, 0, 2), None))
    assert replayed.to_pylist() == to_record_batch([ROWS[0], ROWS[2]]).to_pylist()
    assert objects_of(value, [1])[0]["unit"] == ROWS[1].unit
