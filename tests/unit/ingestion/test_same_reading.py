from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.codec import encode_batch
from ingestion.counted_letters import LetterId
from ingestion.json_batches import encode_columns, encode_lines
from ingestion.letter import Letter
from ingestion.reading import Reading, to_record_batch
from ingestion.same_reading import identities, readings_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = int(NOON.timestamp()) * 1_000_000
ROWS = [
    Reading(machine_id="m", sensor_id="m/a", event_time=NOON + timedelta(seconds=n), value=1.0, sequence=sequence)
    for n, sequence in enumerate((4, None, 6))
]
WANTED = [("m", "m/a", AT, 4), None, ("m", "m/a", AT + 2_000_000, 6)]


@pytest.mark.parametrize("encode", [encode_batch, encode_lines, encode_columns])
def test_of_every_row_of_every_form(encode: object) -> None:
    assert identities(encode(to_record_batch(ROWS))) == WANTED  # type: ignore[operator]


def test_a_value_that_is_refused_does_not_hide_the_reading() -> None:
    told = {"machine_id": "m", "sensor_id": "m/a", "event_time": "2026-03-01T13:00:00+01:00", "sequence": 4}
    assert identities(json.dumps(told | {"value": "3,2"}).encode()) == [("m", "m/a", AT, 4)]
    assert identities(json.dumps(told | {"event_time": "2026-03-01T13:00:00"}).encode()) == [None]


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xff\xff\xff", b"rubbish", b'{"a":"\xff"}', b'{"value":[1,'])
def test_what_cannot_be_read_has_none(value: bytes) -> None:
    assert set(identities(value)) <= {None}


def test_a_letter_is_of_its_refused_rows() -> None:
    def letter(rows: tuple[int, ...] | None, original_size: int | None = None) -> Letter:
        value = encode_lines(to_record_batch(ROWS))
        return Letter(
            id=LetterId(0, 1), stored_at=NOON, reason="x", detail="", origin=("t", 0, 1), key=b"m",
            value=value, rows=rows, original_size=original_size,
        )  # fmt: skip

    assert readings_of(letter((0, 2))) == {WANTED[0], WANTED[2]}
    assert readings_of(letter((0, 1))) == frozenset(), "one of them has no sequence number"
    assert readings_of(letter(None)) == frozenset()
    assert readings_of(letter((0,), original_size=9_000_000)) == frozenset()
