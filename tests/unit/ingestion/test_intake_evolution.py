"""Producers change: each row of the page's table of evolution, and what a dead letter says of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.codec import encode_batch
from ingestion.intake import Intake, sift
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "messages.md"
MOMENT = datetime(2026, 3, 1, 8, 15, 30, 250_000, tzinfo=UTC)
STAMP = int(MOMENT.timestamp() * 1000)
SECONDS = int(MOMENT.timestamp())
JSON: dict[str, Any] = {
    "machine_id": "pump-1",
    "sensor_id": "pump-1/flow",
    "event_time": "2026-03-01T08:15:30.250Z",
    "value": 118.0,
    "unit": "bar",
    "sequence": 7,
}
ARROW: dict[str, pa.Array] = {
    "machine_id": pa.array(["pump-1"]),
    "sensor_id": pa.array(["pump-1/flow"]),
    "event_time": pa.array([MOMENT], pa.timestamp("us", tz="UTC")),
    "value": pa.array([118.0]),
    "unit": pa.array(["bar"]),
    "sequence": pa.array([7], pa.int64()),
}


def as_json(**changes: Any) -> bytes:
    return json.dumps({name: held for name, held in (JSON | changes).items() if held is not ...}).encode()


def as_arrow(**changes: Any) -> bytes:
    columns = {name: held for name, held in (ARROW | changes).items() if held is not ...}
    return encode_batch(pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)))


def encoded(name: str, kind: pa.DataType) -> bytes:
    return as_arrow(**{name: ARROW[name].cast(kind)})


@dataclass(frozen=True)
class Case:
    """Messages of a row of the table; of what is refused, what the letter has to say."""

    messages: list[bytes]
    reason: str | None = None
    told: tuple[str, ...] = ()


KEYS = pa.dictionary(pa.int8(), pa.string())
CASES = {
    "further fields of a JSON message": Case([as_json(site="north", nested={"a": [1]})]),
    "a JSON field written twice": Case(
        [b'{"event_time": "yesterday", "value": 1, "unit": null, ' + as_json()[1:]],
    ),
    "`unit` or `sequence` left out, or null": Case(
        [as_json(unit=..., sequence=...), as_json(unit=None, sequence=None), as_arrow(unit=..., sequence=...)]
    ),
    "a sensor or a machine that nobody has seen": Case([as_json(sensor_id="pump-1/never seen")]),
    "further Arrow columns": Case([as_arrow(site=pa.array(["north"]), nested=pa.array([{"a": 1}]))]),
    "Arrow columns in another order": Case(
        [encode_batch(pa.RecordBatch.from_arrays([ARROW[n] for n in reversed(ARROW)], names=list(reversed(ARROW))))]
    ),
    "strings as dictionary, large_utf8 or utf8_view": Case(
        [
            as_arrow(**{n: ARROW[n].cast(kind) for n in ("machine_id", "sensor_id", "unit")})
            for kind in (KEYS, pa.large_string(), pa.string_view())
        ]
    ),
    "`value` as a float of 16 or 32 bits, or an integer": Case(
        [
            encoded("value", kind)
            for kind in (pa.float16(), pa.float32(), pa.int8(), pa.int16(), pa.int64(), pa.uint8(), pa.uint64())
        ]
    ),
    "`sequence` as an integer of 8 to 64 bits": Case(
        [encoded("sequence", kind) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint32(), pa.uint64())]
    ),
    "a dictionary of numbers": Case(
        [as_arrow(value=ARROW["value"].dictionary_encode(), sequence=ARROW["sequence"].dictionary_encode())]
    ),
    "`unit` or `sequence` as a column of nulls": Case([as_arrow(unit=pa.nulls(1), sequence=pa.nulls(1))]),
    "times in s, ms or ns, or in another zone": Case(
        [
            as_arrow(event_time=pa.array([SECONDS * 1000 + 250], pa.timestamp("ms", tz="Asia/Tokyo"))),
            as_arrow(event_time=pa.array([SECONDS * 10**9 + 250_000_999], pa.timestamp("ns", tz="UTC"))),
            as_arrow(event_time=pa.array([SECONDS], pa.timestamp("s", tz="UTC"))),
            as_json(event_time="2026-03-01T17:15:30.250+09:00"),
        ]
    ),
    "an Arrow time without a zone": Case(
        [as_arrow(event_time=pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("us")))],
        "bad_time",
        ("'event_time'", "timestamp[us], without a zone", "timestamp[us, UTC]"),
    ),
    "a JSON time without a zone": Case(
        [as_json(event_time="2026-03-01T08:15:30")], "bad_time", ("'event_time'", '"2026-03-01T08:15:30"', "a zone")
    ),
    "an Arrow time as text or number": Case(
        [as_arrow(event_time=pa.array(["2026-03-01T08:15:30Z"])), as_arrow(event_time=pa.array([SECONDS]))],
        "wrong_schema",
        ("'event_time'", "a timestamp with a zone"),
    ),
    "`value` as an integer that no double holds": Case(
        [as_arrow(value=pa.array([2**53 + 1]))], "wrong_type", ("'value'", "int64", "double", str(2**53 + 1))
    ),
    "`sequence` beyond 64 bits with a sign": Case(
        [as_arrow(sequence=pa.array([2**63], pa.uint64())), as_json(sequence=2**63)],
        "wrong_type",
        ("'sequence'", str(2**63)),
    ),
    "a required Arrow column left out": Case(
        [as_arrow(value=...)], "wrong_schema", ("'value' is missing", "machine_id, sensor_id")
    ),
    "a required JSON field left out, or null": Case(
        [as_json(value=...), as_json(value=None)], "missing_field", ("'value'", "a finite number is needed")
    ),
    "an Arrow column of another type": Case(
        [as_arrow(value=pa.array(["118"])), as_arrow(value=pa.array([True]))], "wrong_schema", ("'value' is", "numbers")
    ),
    "a JSON field of another type": Case(
        [as_json(value="high"), as_json(value=["high"])], "wrong_type", ("'value'", "high", "a finite number")
    ),
    "a null in a required Arrow column": Case(
        [as_arrow(sensor_id=pa.array([None], pa.string()))], "missing_field", ("sensor_id is null",)
    ),
}


def taken(value: bytes, **settings: Any) -> Intake:
    return sift(0, Records.of([Message(3, STAMP, b"pump-1", value)]), StreamSettings(**settings))


def test_the_page_and_the_cases_tell_the_same() -> None:
    section = PAGE.read_text().split("## Evolution", 1)[1].split("\n## ", 1)[0]
    rows = dict(re.findall(r"^\| (?!a producer sends|---)(.+?) \| (.+?) \|$", section, re.MULTILINE))
    assert rows.keys() == CASES.keys()
    for name, case in CASES.items():
        assert ("refused" in rows[name]) == (case.reason is not None)
        assert case.reason is None or f"`{case.reason}`" in rows[name]


@pytest.mark.parametrize("name", CASES)
def test_evolution(name: str) -> None:
    case = CASES[name]
    for message in case.messages:
        found = taken(message)
        if case.reason is None:
            assert not found.dead_letters, found.dead_letters
            (row,) = found.readings.to_pylist()
            # of seconds the fraction is not sent
            assert row["event_time"] in (MOMENT, MOMENT.replace(microsecond=0))
            assert (row["machine_id"], row["value"]) == ("pump-1", 118.0)
            assert row["unit"] in ("bar", None)
            assert row["sequence"] in (7, None)
        else:
            assert found.readings.num_rows == 0
            (letter,) = found.dead_letters
            assert letter.reason == case.reason
            missing = [text for text in case.told if text not in letter.detail]
            assert not missing, letter.detail


@pytest.mark.parametrize(
    ("message", "reason", "told"),
    [
        (as_json(sensor_id=""), "bad_id", "sensor_id has 0 characters; 1 to 256 are allowed"),
        (as_json(value=1e200), "out_of_range", "value is 1e+200; numbers of at most 1e+150 are allowed"),
        (as_arrow(value=pa.array([float("nan")])), "not_finite", "value is nan; a finite number is allowed"),
        (
            as_json(event_time="2999-01-01T00:00:00Z"),
            "future_time",
            "event_time is 2999-01-01T00:00:00+00:00; at most 300 s after the record's timestamp "
            "2026-03-01T08:15:30.250000+00:00 are believed",
        ),
        (
            as_json(event_time="1970-01-01T00:00:00Z"),
            "ancient_time",
            "event_time is 1970-01-01T00:00:00+00:00; nothing before 2000-01-01T00:00:00+00:00 is believed",
        ),
        (
            as_json(machine_id="pump-2"),
            "key_mismatch",
            "machine_id is 'pump-2' and the message's key b'pump-1'; they must be the same",
        ),
        (as_json(machine_id=5), "wrong_type", "field 'machine_id' is 5; a string is needed"),
        (
            as_json(event_time="yesterday"),
            "bad_time",
            "field 'event_time' is \"yesterday\"; an RFC 3339 time with a zone is needed",
        ),
        (as_json(value=[1.0, "x"]), "wrong_type", "field 'value'[1] is [1.0, \"x\"]; a finite number is needed"),
    ],
)
def test_a_letter_says_what_was_found_and_what_is_allowed(message: bytes, reason: str, told: str) -> None:
    (letter,) = taken(message).dead_letters
    assert (letter.reason, letter.detail) == (reason, told)


def test_a_time_beyond_what_a_calendar_holds_is_told_as_a_number() -> None:
    (letter,) = taken(as_arrow(event_time=pa.array([2**62], pa.timestamp("us", tz="UTC")))).dead_letters
    assert letter.reason == "future_time"
    assert f"event_time is {2**62} us since 1970" in letter.detail
