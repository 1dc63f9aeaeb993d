from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ingestion.codec import encode_batch
from ingestion.counted_letters import LetterId
from ingestion.errors import InvalidInput
from ingestion.json_batches import decode
from ingestion.letter import Letter, merged, replayed_value
from ingestion.reading import Reading, to_record_batch

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def letter(value: bytes | None, *, rows: tuple[int, ...] | None = None, original_size: int | None = None) -> Letter:
    return Letter(
        id=LetterId(2, 17),
        stored_at=NOON,
        reason="bad_json",
        detail="why",
        origin=("readings", 2, 5),
        key=b"m",
        value=value,
        rows=rows,
        original_size=original_size,
    )


def batch() -> bytes:
    rows = [
        Reading(machine_id="m", sensor_id="m/flow", event_time=NOON + timedelta(seconds=n), value=float(n), unit="bar")
        for n in range(5)
    ]
    return encode_batch(to_record_batch(rows))


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches(target: dict[str, object], patch: dict[str, object], result: dict[str, object]) -> None:
    assert merged(target, patch) == result


def test_a_message_is_replayed_as_it_was() -> None:
    for value in (b"{", b"\xff\xff\xff\xff", b"\x00rubbish"):
        assert replayed_value(letter(value), None) == value


def test_a_message_is_patched() -> None:
    value = replayed_value(letter(b'{"machine_id": "m", "value": "3,2", "x": 1}'), {"value": 3.2, "x": None})
    assert json.loads(value) == {"machine_id": "m", "value": 3.2}


def test_of_a_batch_only_the_refused_rows_are_replayed() -> None:
    rows = decode(replayed_value(letter(batch(), rows=(1, 3)), None)).to_pylist()
    assert [row["value"] for row in rows] == [1.0, 3.0]
    patched = decode(replayed_value(letter(batch(), rows=(1, 3)), {"value": 7, "unit": None, "sequence": 4}))
    assert [(row["value"], row["unit"], row["sequence"]) for row in patched.to_pylist()] == [(7.0, None, 4)] * 2
    at = decode(replayed_value(letter(batch(), rows=(0,)), {"event_time": "2026-03-02T00:00:00+00:00"})).to_pylist()
    assert at[0]["event_time"] == datetime(2026, 3, 2, tzinfo=UTC)


def test_rows_keep_the_columns_that_a_stream_declares() -> None:
    rows = to_record_batch(
        [Reading(machine_id="m", sensor_id="m/flow", event_time=NOON, value=float(n)) for n in range(3)]
    )
    table = pa.table(rows).append_column("ambient", pa.array(["a", "b", "c"]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as written:
        written.write_table(table)
    held = letter(bytes(sink.getvalue()), rows=(0, 2))

    def read(value: bytes) -> pa.Table:
        with pa.ipc.open_stream(value) as stream:
            return stream.read_all()

    assert read(replayed_value(held, None)).select(["value", "ambient"]).to_pylist() == [
        {"value": 0.0, "ambient": "a"},
        {"value": 2.0, "ambient": "c"},
    ]
    mended = read(replayed_value(held, {"ambient": 20.5}))
    assert mended.column("ambient").to_pylist() == [20.5, 20.5]
    assert "ambient" not in read(replayed_value(held, {"ambient": None})).column_names


@pytest.mark.parametrize(
    ("held", "patch", "told"),
    [
        (letter(None), None, "without a value"),
        (letter(b""), None, "without a value"),
        (letter(b"{", original_size=2_000_000), None, "holds 1 of 2,000,000 bytes"),
        (letter(b"{"), {"value": 1}, "not JSON"),
        (letter(b"[1]"), {"value": 1}, "not a JSON object"),
        (letter(batch(), rows=(9,)), None, "refused rows"),
        (letter(batch(), rows=(1,)), {"speed": 1}, "names 'speed'"),
        (letter(batch(), rows=(1,)), {"value": "fast"}, "no double"),
        (letter(batch(), rows=(1,)), {"event_time": "noon"}, "no timestamp"),
    ],
)
def test_what_cannot_be_replayed_says_why(held: Letter, patch: dict[str, object] | None, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        replayed_value(held, patch)
