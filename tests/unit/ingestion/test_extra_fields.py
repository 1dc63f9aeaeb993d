"""Optional fields that a definition declares: in JSON and Arrow messages, refused where of another type."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingestion.codec import REASONS, encode_batch, encode_reading
from ingestion.extra_fields import WRONG_FIELD, with_fields
from ingestion.intake import Intake, sift
from ingestion.reading import Reading, to_record_batch
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings
from tests.streams import a_definition

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp() * 1000)
DEFINITION = a_definition(
    source={"fields": {"ambient": "double", "shift": "int64", "note": "string", "manual": "bool"}}
)


def a_reading(value: float) -> Reading:
    return Reading(machine_id="m", sensor_id="m/flow", event_time=NOW, value=value)


def as_json(offset: int, **fields: Any) -> Message:
    told = json.loads(encode_reading(a_reading(offset))) | fields
    return Message(offset, STAMP, b"m", json.dumps(told).encode())


def as_arrow(offset: int, values: list[float], **columns: pa.Array) -> Message:
    batch = to_record_batch([a_reading(value) for value in values])
    for name, column in columns.items():
        batch = pa.RecordBatch.from_arrays([*batch.columns, column], names=[*batch.schema.names, name])
    return Message(offset, STAMP, b"m", encode_batch(batch))


def taken(*messages: Message) -> Intake:
    return with_fields(3, messages, sift(3, Records.of(messages), StreamSettings()), DEFINITION)


def test_fields_of_json_messages_are_null_where_absent() -> None:
    found = taken(as_json(1, ambient=20.5, shift=2, note="a", manual=True), as_json(2), as_json(3, ambient=21))
    assert found.readings.schema.names[-4:] == ["ambient", "shift", "note", "manual"]
    assert found.readings.column("ambient").to_pylist() == [20.5, None, 21.0]
    assert found.readings.column("shift").to_pylist() == [2, None, None]
    assert found.readings.column("note").to_pylist() == ["a", None, None]
    assert found.readings.column("manual").to_pylist() == [True, None, None]
    assert found.dead_letters == []


def test_columns_of_arrow_messages_go_with_their_rows() -> None:
    ambient = pa.array([1.0, None, float("nan"), 4.0], pa.float32())
    found = taken(
        as_arrow(1, [1.0, float("nan"), 3.0, 4.0], ambient=ambient, shift=pa.array([1, 2, 3, 4], pa.int8())),
        as_json(2, ambient=9),
        as_arrow(5, [6.0]),
    )
    assert found.readings.column("value").to_pylist() == [1.0, 3.0, 4.0, 2.0, 6.0]
    assert found.readings.column("ambient").to_pylist() == [1.0, None, 4.0, 9.0, None]
    assert found.readings.column("shift").to_pylist() == [1, 3, 4, None, None]
    assert found.offsets.tolist() == [1, 1, 1, 2, 5]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ambient": "hot"}, "field ambient is 'hot'; double was expected by the stream small"),
        ({"ambient": True}, "field ambient is True; double was expected"),
        ({"shift": 1.5}, "field shift is 1.5; int64 was expected"),
        ({"shift": 2**63}, "int64 was expected"),
        ({"note": 3}, "field note is 3; string was expected"),
        ({"manual": "yes"}, "field manual is 'yes'; bool was expected"),
        ({"note": {"deep": [1]}}, "field note is {'deep': [1]}; string was expected"),
    ],
)
def test_a_json_field_of_another_type_is_a_dead_letter(fields: dict[str, Any], told: str) -> None:
    found = taken(as_json(1), as_json(2, **fields), as_json(3))
    assert found.offsets.tolist() == [1, 3]
    assert found.readings.column("value").to_pylist() == [1.0, 3.0]
    (letter,) = found.dead_letters
    assert (letter.partition, letter.message.offset, letter.reason, letter.rows) == (3, 2, WRONG_FIELD, None)
    assert told in letter.detail
    assert found.refused == {WRONG_FIELD: 1}


def test_a_column_of_another_type_refuses_the_rows_that_were_good() -> None:
    found = taken(as_arrow(7, [1.0, float("nan"), 3.0], ambient=pa.array(["a", "b", "c"])), as_json(8))
    assert found.offsets.tolist() == [8]
    own = [letter for letter in found.dead_letters if letter.reason == WRONG_FIELD]
    assert [letter.rows for letter in own] == [(0, 2)]
    assert own[0].detail == "column ambient is string; double was expected by the stream small"
    assert found.refused == {"not_finite": 1, WRONG_FIELD: 2}


def test_a_wrong_row_of_many_does_not_take_the_others_with_it() -> None:
    lines = [as_json(0, ambient=1.0), as_json(0, ambient="hot"), as_json(0), as_json(0, ambient=None, note=7)]
    message = Message(4, STAMP, b"m", b"\n".join(line.value or b"" for line in lines))
    found = taken(message, as_json(5, ambient=2.0))
    assert found.offsets.tolist() == [4, 4, 5]
    assert found.readings.column("ambient").to_pylist() == [1.0, None, 2.0]
    (letter,) = found.dead_letters
    assert (letter.message.offset, letter.rows) == (4, (1, 3))
    assert found.refused == {WRONG_FIELD: 2}


def test_fields_of_a_message_of_columns() -> None:
    told = json.loads(encode_reading(a_reading(0))) | {
        "value": [1.0, 2.0, 3.0],
        "ambient": [7, None, "hot"],
        "note": "a",
    }
    found = taken(Message(4, STAMP, b"m", json.dumps(told).encode()))
    assert found.readings.column("ambient").to_pylist() == [7.0, None]
    assert found.readings.column("note").to_pylist() == ["a", "a"]
    assert [letter.rows for letter in found.dead_letters] == [(2,)]


def test_a_message_that_repeats_the_offset_of_no_other_keeps_its_place() -> None:
    found = taken(as_json(4), as_json(9, note="b"))
    assert np.array_equal(found.offsets, [4, 9])
    assert found.readings.column("note").to_pylist() == [None, "b"]


def test_the_reason_is_one_of_those_that_are_documented() -> None:
    assert WRONG_FIELD in REASONS
