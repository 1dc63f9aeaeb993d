"""Many messages decoded in one call mean what each means by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.codec import columns_of, decode_json
from ingestion.errors import PoisonMessage
from ingestion.intake import sift
from ingestion.json_batches import decode
from ingestion.json_fetch import decode_values
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings
from tests.effort import examples

time = st.one_of(
    st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.isoformat().replace("+00:00", "Z")
    ),
    st.sampled_from(
        [
            "2026-03-01T08:15:30.5Z",
            "2026-03-01T08:15:30.1234567Z",
            "2026-03-01T08:15:30+02:00",
            "2026-03-01 08:15:30Z",
            "2026-03-01t08:15:30z",
            "2026-03-01T08:15:60Z",
            "2026-02-29T08:15:30Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T08:15:30.Z",
            "2026-03-01T08:15:30",
            "2026-03-01",
            "20260301T081530.000Z",
            "2026-03-01T08:15:30,5Z",
            "-026-03-01T08:15:30Z",
        ]
    ),
    st.text(alphabet="0123456789-:.TZ+ ", min_size=19, max_size=28),
).map(json.dumps)
number = st.one_of(
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(
        ["-0", "01", "+1", "1.", ".5", "1e400", "-1E-5", "NaN", "Infinity", "1.0", "0x1", "null", '"1"', "[1]"]
    ),
)
text = st.one_of(
    st.text(max_size=4).map(json.dumps), st.sampled_from(['"m"', '"a\\u0000b"', "null", "7", '"{"', '"\t"'])
)
field = st.one_of(
    st.tuples(st.just('"machine_id"'), text),
    st.tuples(st.just('"sensor_id"'), text),
    st.tuples(st.just('"event_time"'), time),
    st.tuples(st.just('"value"'), number),
    st.tuples(st.just('"unit"'), text),
    st.tuples(st.just('"sequence"'), number),
    st.tuples(text, st.sampled_from(["true", "{}", "[]", "tru", "1", '"x"', "nul"])),
)
usual = st.tuples(
    text.map(lambda held: ('"machine_id"', held)),
    text.map(lambda held: ('"sensor_id"', held)),
    time.map(lambda held: ('"event_time"', held)),
    number.map(lambda held: ('"value"', held)),
).map(list)
spaced = st.sampled_from([",", " ,", ", ", ",\n", ",\t"])
message = st.one_of(
    st.tuples(st.tuples(usual, st.lists(field, max_size=2)).map(lambda both: both[0] + both[1]), spaced).map(
        lambda both: "{" + both[1].join(f"{name}:{held}" for name, held in both[0]) + "}"
    ),
    st.sampled_from(["{}", "{}{}", '{"x":{}', "{", "}", '{"a":1}\n{"a":1}', " {}", "{} "]),
).map(str.encode)
some_lines = st.lists(message, min_size=2, max_size=3).map(b"\n".join)
GOOD = (
    b'{"machine_id":"m","sensor_id":"m/a","event_time":"2026-03-01T08:15:30.25Z","value":1.5,"unit":"bar","sequence":3}'
)
GOOD_COLUMNS = (
    b'{"machine_id":"m","sensor_id":["m/a","m/b"],"event_time":["2026-03-01T08:15:30.25Z","2026-03-01T08:15:31Z"],'
    b'"value":[1.5,2],"unit":"bar","sequence":[3,null]}'
)


def apart(values: list[bytes], between: bytes) -> Records:
    """Records whose values lie as in a fetch: between two of them are a head and an end that say anything."""
    records = Records.of([Message(place, 0, b"m", value) for place, value in enumerate(values)])
    ends = np.cumsum([len(value) + len(between) for value in values]) - len(between)
    starts = ends - [len(value) for value in values]
    return replace(
        records,
        data=between.join(values) + b"m",
        value_at=starts,
        value_end=ends,
        key_at=np.full(len(values), ends[-1]),
        key_end=np.full(len(values), ends[-1] + 1),
    )


def columns_of_two(cell: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(cell, st.lists(cell, min_size=1, max_size=3).map(lambda cells: f"[{','.join(cells)}]"))


column = st.one_of(
    st.tuples(st.sampled_from(['"machine_id"', '"sensor_id"', '"unit"', '"x"']), columns_of_two(text)),
    st.tuples(st.just('"event_time"'), columns_of_two(time)),
    st.tuples(st.sampled_from(['"value"', '"sequence"']), columns_of_two(number)),
)
columns_message = st.builds(
    lambda found, place: (
        GOOD_COLUMNS[: -1 if place else 1]
        + (b"," if place else b"")
        + ",".join(f"{name}:{cells}" for name, cells in found).encode()
        + (b"}" if place else b"," + GOOD_COLUMNS[1:])
    ),
    st.lists(column, min_size=1, max_size=2),
    st.booleans(),
)
value = st.one_of(
    message,
    some_lines,
    columns_message,
    st.just(GOOD),
    st.just(GOOD_COLUMNS),
    st.sampled_from([GOOD + b"\n" + GOOD, GOOD + b"\n", GOOD + GOOD, GOOD_COLUMNS.replace(b"[3,null]", b"3")]),
)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.one_of(st.lists(value, min_size=1, max_size=4), st.lists(columns_message, min_size=1, max_size=2)),
    st.sampled_from([b"\n", b"x", b"}\n{", b"\n\n", b"{}\n{}", b'"\\\xff\x00\n ']),
)
def test_what_is_decoded_together_means_what_each_means(values: list[bytes], between: bytes) -> None:
    found = decode_values(apart(values, between))
    if found is None:
        return
    try:
        singly = [decode(value) for value in values]
    except PoisonMessage as poison:
        raise AssertionError(f"together they are read as {found.readings.to_pylist()}") from poison
    assert found.readings.cast(NULLABLE_SCHEMA).equals(pa.concat_batches(singly))
    assert found.owner.tolist() == [place for place, batch in enumerate(singly) for _ in range(batch.num_rows)]


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(value, min_size=1, max_size=4), st.integers(60, 200))
def test_neighbours_change_nothing(values: list[bytes], good: int) -> None:
    stamp = int(datetime(2026, 3, 1, 9, tzinfo=UTC).timestamp() * 1000)
    messages = [
        Message(place, stamp, b"m", value) for place, value in enumerate([GOOD] * good + values + [GOOD] * good)
    ]
    together = sift(0, Records.of(messages), StreamSettings())
    apart = [sift(0, Records.of([message]), StreamSettings()) for message in messages]
    assert together.readings.to_pylist() == [row for intake in apart for row in intake.readings.to_pylist()]
    assert together.dead_letters == [letter for intake in apart for letter in intake.dead_letters]


def test_usual_messages_are_decoded_together() -> None:
    found = decode_values(Records.of([Message(place, 0, b"m", GOOD) for place in range(3)]))
    assert found is not None
    assert found.readings.cast(NULLABLE_SCHEMA).equals(columns_of([decode_json(GOOD)] * 3))
    lines = b"\n".join([GOOD] * 2)
    for between in (b"\n", b"head"):
        found = decode_values(apart([lines, GOOD, lines + b"\n"], between))
        assert found is not None
        assert (found.readings.num_rows, found.owner.tolist()) == (5, [0, 0, 1, 2, 2])


def test_usual_columns_are_decoded_together() -> None:
    messages = [GOOD_COLUMNS, GOOD_COLUMNS.replace(b'"m"', b'["m","m"]'), GOOD_COLUMNS.replace(b"[3,null]", b"7")]
    found = decode_values(Records.of([Message(place, 0, b"m", value) for place, value in enumerate(messages)]))
    assert found is not None
    assert found.readings.cast(NULLABLE_SCHEMA).equals(pa.concat_batches([decode(value) for value in messages]))
    assert found.owner.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "odd",
    [
        b'"event_time":7,',
        b'"event\\u005ftime":null,',
        b'"x":"\xff",',
        b'"x":"\t",',
        b'"x":NaN,',
        b'"sequence":9223372036854775808,',
        b'"x":' + b"[" * 5000 + b"]" * 5000 + b",",
    ],
)
@pytest.mark.parametrize("good", [GOOD, GOOD_COLUMNS, GOOD + b"\n" + GOOD])
def test_one_odd_field_is_not_passed_over(odd: bytes, good: bytes) -> None:
    values = [good, good[:1] + odd + good[1:], good]
    found = decode_values(Records.of([Message(place, 0, b"m", value) for place, value in enumerate(values)]))
    assert found is None


@pytest.mark.parametrize("good", [GOOD, GOOD_COLUMNS, GOOD + b"\n" + GOOD])
@pytest.mark.parametrize("written", [b'"event_time":"yesterday",', b'"event\\u005ftime":"yesterday",'])
def test_of_a_field_written_twice_the_last_counts(good: bytes, written: bytes) -> None:
    twice = good[:1] + written + good[1:]
    expected = decode(good)
    assert decode(twice).equals(expected)
    found = decode_values(Records.of([Message(place, 0, b"m", value) for place, value in enumerate([good, twice])]))
    assert found is not None
    assert found.readings.cast(NULLABLE_SCHEMA).equals(pa.concat_batches([expected, expected]))


def test_many_lines_are_cut_where_they_end() -> None:
    lines = [GOOD.replace(b'"sequence":3', b'"sequence":%d' % number) for number in range(10_000)]
    messages = [b"\n".join(lines[begin : begin + 3]) for begin in range(0, len(lines), 3)]
    found = decode_values(apart(messages, b"\n{head}"))
    assert found is not None
    assert found.readings["sequence"].to_pylist() == list(range(10_000))
    assert found.owner.tolist() == [number // 3 for number in range(10_000)]


@pytest.mark.parametrize(
    "over_two", [GOOD[:-1] + b',"x":\n{}}', GOOD[:-1] + b',"x":[{}\n,{}]}', GOOD[:-1] + b',"x":{}\n}']
)
def test_two_on_a_line_and_one_on_two_are_not_three_lines(over_two: bytes) -> None:
    for values in ([GOOD + GOOD, over_two], [over_two, GOOD + GOOD], [GOOD + b"\n" + GOOD + GOOD + over_two]):
        assert decode_values(apart(values, b"head")) is None
