"""Good readings and dead letters: a decision on every row, by the record's own timestamp."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.codec import REASONS, encode_batch, encode_reading
from ingestion.intake import Intake, sift
from ingestion.reading import Reading, to_record_batch
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp() * 1000)
SETTINGS = StreamSettings()


def reading(value: float = 1.0, *, machine: str = "m", sensor: str = "m/a", at: datetime = NOW) -> Reading:
    return Reading(machine_id=machine, sensor_id=sensor, event_time=at, value=value)


def sifted(*values: bytes | None, key: bytes | None = b"m") -> Intake:
    records = Records.of([Message(10 + place, STAMP, key, value) for place, value in enumerate(values)])
    return sift(3, records, SETTINGS)


def batch(rows: Sequence[Reading]) -> bytes:
    return encode_batch(to_record_batch(rows))


def test_good_readings_keep_their_order_and_offsets() -> None:
    intake = sifted(encode_reading(reading(1)), batch([reading(2), reading(3)]), encode_reading(reading(4)), batch([]))
    assert intake.readings["value"].to_pylist() == [1, 2, 3, 4]
    assert intake.offsets.tolist() == [10, 11, 11, 12]
    assert intake.dead_letters == []
    assert intake.refused == {}


def test_nothing_is_nothing() -> None:
    intake = sifted()
    assert intake.readings.num_rows == 0
    assert intake.dead_letters == []


def test_bad_rows_do_not_take_the_good_ones_with_them() -> None:
    rows = [
        reading(1),
        reading(float("nan")),
        reading(2, sensor=""),
        reading(float("inf")),
        reading(1e200),
        reading(3, machine="other"),
        reading(4, at=NOW + timedelta(minutes=6)),
        reading(5, at=datetime(1970, 1, 1, tzinfo=UTC)),
        reading(6),
    ]
    intake = sifted(batch(rows))
    assert intake.readings["value"].to_pylist() == [1, 6]
    assert {(letter.reason, letter.rows) for letter in intake.dead_letters} == {
        ("not_finite", (1, 3)),
        ("bad_id", (2,)),
        ("out_of_range", (4,)),
        ("key_mismatch", (5,)),
        ("future_time", (6,)),
        ("ancient_time", (7,)),
    }
    assert intake.refused == {
        "not_finite": 2,
        "bad_id": 1,
        "out_of_range": 1,
        "key_mismatch": 1,
        "future_time": 1,
        "ancient_time": 1,
    }
    assert intake.refused.keys() <= REASONS.keys()
    assert all(
        letter.detail and letter.partition == 3 and letter.message.offset == 10 for letter in intake.dead_letters
    )


def test_a_single_reading_is_refused_as_a_whole() -> None:
    (letter,) = sifted(encode_reading(reading(1, sensor="x" * 300))).dead_letters
    assert (letter.reason, letter.rows) == ("bad_id", None)


@pytest.mark.parametrize(("ahead", "is_good"), [(300, True), (301, False)])
def test_the_future_begins_at_the_records_timestamp(ahead: int, is_good: bool) -> None:
    intake = sifted(encode_reading(reading(at=NOW + timedelta(seconds=ahead))))
    assert intake.readings.num_rows == (1 if is_good else 0)


def test_envelopes() -> None:
    assert [letter.reason for letter in sifted(None, b"").dead_letters] == ["empty_message", "empty_message"]
    assert [letter.reason for letter in sifted(b"x" * (SETTINGS.max_message_bytes + 1)).dead_letters] == ["too_large"]
    assert [letter.reason for letter in sifted(encode_reading(reading()), key=None).dead_letters] == ["null_key"]
    assert [letter.reason for letter in sifted(encode_reading(reading()), key=b"\xff").dead_letters] == ["key_mismatch"]


def test_letters_come_in_the_order_of_offsets() -> None:
    nan = batch([reading(float("nan"))])
    intake = sifted(nan, b"rubbish", nan, b"{")
    assert [(letter.message.offset, letter.reason) for letter in intake.dead_letters] == [
        (10, "not_finite"),
        (11, "unknown_encoding"),
        (12, "not_finite"),
        (13, "bad_json"),
    ]


def test_a_record_without_a_believable_timestamp_makes_nothing_believable() -> None:
    intake = sift(0, Records.of([Message(0, -1, b"m", encode_reading(reading()))]), SETTINGS)
    assert [letter.reason for letter in intake.dead_letters] == ["future_time"]
