"""Each thing that makes a line other than its neighbours, between two of them."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.codec import columns_of, decode_json
from ingestion.uniform_lines import columns_of_lines

GOOD = (
    b'{"machine_id":"m","sensor_id":"m/a","event_time":"2026-03-01T08:15:30.25Z","value":1.5,"unit":"C","sequence":3}'
)


def read(*lines: bytes) -> object:
    return columns_of_lines(np.frombuffer(b"\n".join(lines), np.uint8))


def with_value(written: bytes) -> bytes:
    return GOOD.replace(b'"value":1.5', b'"value":' + written)


@pytest.mark.parametrize(
    "number", [b"0", b"-0", b"0.5", b"-0.5", b"10", b"1e5", b"1E+05", b"1.25e-3", b"4.9e-324", b"-7"]
)
def test_numbers_as_json_has_them_are_read(number: bytes) -> None:
    lines = [GOOD, with_value(number), GOOD]
    found = columns_of_lines(np.frombuffer(b"\n".join(lines), np.uint8))
    assert found is not None
    assert found.cast(NULLABLE_SCHEMA).equals(columns_of([decode_json(line) for line in lines]))


@pytest.mark.parametrize(
    "number",
    [
        b"", b"1.", b".5", b"-.5", b"-", b"01", b"-01", b"00", b"+1", b"1.e5", b"1e.5", b".e5", b"1e", b"1e+", b"1-5",
        b"1.5.5", b"NaN", b"nan", b"inf", b"-Infinity", b"1e400", b"-1e400", b"0x10", b"1_0", b"null",
        b"true", b'"1"', b"[1]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", [b'"value":1.5', b'"sequence":3'])
def test_what_is_no_number_for_json_is_not_read(number: bytes, name: bytes) -> None:
    odd = GOOD.replace(name, name.partition(b":")[0] + b":" + number)
    assert odd != GOOD
    assert read(GOOD, odd, GOOD) is None
    assert read(odd, GOOD, GOOD) is None
    assert read(GOOD, GOOD, odd) is None


@pytest.mark.parametrize(
    "odd",
    [
        GOOD + b"\r" + GOOD,
        GOOD + b" " + GOOD,
        GOOD + b",",
        b"," + GOOD,
        b"",
        b"{}",
        GOOD[:-1],
        GOOD[1:],
        GOOD[:-1] + b',"unit":"C"}',
        GOOD.replace(b'"unit":"C",', b""),
        GOOD.replace(b'"unit"', b'"unet"'),
        GOOD[:-1] + b"]",
        GOOD.replace(b'"2026-03-01T08:15:30.25Z"', b'"'),
        GOOD.replace(b'"unit":"C"', b'"unit":"a,b"'),
        GOOD.replace(b'"unit":"C"', b'"unit":C'),
        GOOD.replace(b'"unit":"C"', b'"unit":"C'),
        GOOD.replace(b'"unit":"C"', b'"unit":"C""'),
        GOOD.replace(b'"unit":"C"', b'"unit":["C"]'),
        GOOD.replace(b'"unit":"C"', b'"unit":"\xff"'),
        GOOD.replace(b'"unit":"C"', b'"unit":"\x01"'),
        GOOD.replace(b'"unit":"C"', b'"unit":"\\x"'),
        GOOD.replace(b'"unit"', b'"value"'),
        GOOD.replace(b'"machine_id":"m"', b'"machine_id":null'),
        GOOD.replace(b'"machine_id":"m"', b'"machine_id":7'),
        GOOD.replace(b'"unit":"C","sequence":3', b'"sequence":3,"unit":"C"'),
        GOOD.replace(b'0.25Z"', b'0.25z"'),
        GOOD.replace(b'0.25Z"', b'0.25+01:00"'),
        GOOD.replace(b"2026-03-01", b"2026-02-30"),
        GOOD.replace(b'"sequence":3', b'"sequence":9223372036854775808'),
    ],
)
def test_what_is_written_in_another_way_is_left_to_the_decoder(odd: bytes) -> None:
    assert odd != GOOD
    assert read(GOOD, odd, GOOD) is None


@pytest.mark.parametrize(
    "alone",
    [
        b"",
        b"{}",
        GOOD[:-1],
        GOOD.replace(b'"unit":"C"', b'"value":1.5'),
        GOOD.replace(b',"value":1.5', b""),
        GOOD.replace(b'"C"', b'{"a":1}'),
        GOOD.replace(b',"unit"', b',{"unit"'),
    ],
)
def test_a_first_line_that_is_no_reading_of_six_fields(alone: bytes) -> None:
    assert read(alone, alone) is None


def test_two_pieces_of_one_text_are_not_two() -> None:
    assert read(GOOD, GOOD.replace(b'"C"', b'"a'), GOOD.replace(b'"C"', b'b"')) is None


def test_a_text_that_is_written_in_two_ways_is_one() -> None:
    escaped = GOOD.replace(b'"machine_id":"m"', b'"machine_id":"\\u006d"')
    found = columns_of_lines(np.frombuffer(b"\n   ".join([GOOD, escaped, GOOD]), np.uint8))
    assert found is not None
    assert found.column("machine_id").to_pylist() == ["m"] * 3
    assert found.column("machine_id").dictionary.to_pylist() == ["m"]


def test_other_fields_are_passed_over_but_have_to_be_json() -> None:
    more = GOOD.replace(b'"unit"', b'"site":"a","Is-On":true,"unit"')
    found = columns_of_lines(np.frombuffer(b"\n".join([more, more.replace(b"true", b"-1.5")]), np.uint8))
    assert found is not None
    assert found.cast(NULLABLE_SCHEMA).equals(columns_of([decode_json(more)] * 2))
    for odd in (b"", b"NaN", b"tru", b"[1", b'"a', b"\xff", b"01", b"[" * 5000 + b"]" * 5000):
        assert read(more, more.replace(b"true", odd)) is None
        assert read(more.replace(b"true", odd), more.replace(b"true", odd)) is None


def test_null_where_it_may_be() -> None:
    nothing = GOOD.replace(b'"C"', b"null").replace(b":3}", b":null}")
    found = columns_of_lines(np.frombuffer(b"\n".join([nothing] * 2), np.uint8))
    assert found is not None
    assert found.cast(NULLABLE_SCHEMA).equals(columns_of([decode_json(nothing)] * 2))
    mixed = columns_of_lines(np.frombuffer(b"\n".join([GOOD, GOOD.replace(b'"C"', b"null")]), np.uint8))
    assert mixed is not None
    assert mixed.column("unit").to_pylist() == ["C", None]
