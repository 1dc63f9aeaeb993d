"""Lines that are read as a table mean what each of them means to the decoder of JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.codec import columns_of, decode_json
from ingestion.errors import PoisonMessage
from ingestion.uniform_lines import columns_of_lines
from tests.effort import examples

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ["x", "machine_id", "sensor_id", "event_time", "value", "unit", "sequence"]

texts = st.text(st.characters(codec="utf-8", exclude_characters=",\r\n"), max_size=6)
ids = texts.flatmap(lambda text: st.sampled_from([json.dumps(text), json.dumps(text, ensure_ascii=False)]))
times = st.integers(0, 10**9).map(lambda us: json.dumps(f"{BEGIN + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%S.%f}Z"))
floats = st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers(-(10**30), 10**30).map(str))
integers = st.integers(-(2**63), 2**63 - 1).map(str)
anything = st.one_of(ids, floats, integers, st.sampled_from(["true", "null", "[]"]))
good = {
    "x": anything,
    "machine_id": ids,
    "sensor_id": ids,
    "event_time": times,
    "value": floats,
    "unit": ids,
    "sequence": integers,
}
signs = st.text(alphabet="00123456789...eE+-xXpPdDfinaN_'", min_size=1, max_size=6)
odd = st.one_of(
    signs,
    signs.map(lambda written: f'"{written}"'),
    st.text(alphabet='0123456789-:.TZ "+', min_size=19, max_size=29).map(lambda written: f'"{written}"'),
    st.sampled_from(
        [
            "null", "NaN", "Infinity", "-Infinity", "inf", "nan", "1e400", "-1e400", "1e-400", "4.9e-324", "true", "[]",
            "{}", "[1", "2]", '"a', 'b"', "''", '""', '"\x01"', '"\x7f"', '"\\u0000"', '"\\ud800"', '"\\', '"\t"', " ",
            "", "0x10", "1_0", "00", "-", "-0", "-01", "0.0", "9223372036854775808", "18446744073709551616", "1.0",
            '"2026-03-01T08:15:30z"', '"2026-03-01 08:15:30Z"', '"2026-03-01T08:15:30+00:00"', '"2026-02-30T00:00:00Z"',
            '"2026-03-01T08:15:30.1234567Z"', '"\u2028"', '"\ufeff"',
        ]
    ),
)  # fmt: skip
blank = st.sampled_from(["", "", " ", "\t", "  "])


@st.composite
def same_fields(draw: st.DrawFn, *, hostile: bool) -> bytes:
    """Lines with the same fields in one order, one way of blanks for each; hostile: with cells that are otherwise."""
    left_out = draw(st.sets(st.sampled_from(["x", "unit", "sequence"])))
    names = draw(st.permutations([name for name in NAMES if name not in left_out]))
    around = {name: [draw(blank) for _ in range(4)] for name in names}
    lines = []
    for number in range(draw(st.integers(1, 6))):
        cells = []
        for name in names:
            held = draw(odd if hostile and draw(st.integers(0, 19)) == 0 else good[name])
            before, mid, after, last = around[name]
            if hostile and draw(st.integers(0, 39)) == 0:
                mid += draw(st.sampled_from([" ", "\r", "\v", "\x00", "\xa0"]))
            cells.append(f'{before}"{name}"{mid}:{after}{held}{last}')
        if hostile and draw(st.integers(0, 19)) == 0:
            place = draw(st.integers(0, len(cells) - 1))
            cells[place] = draw(st.sampled_from([cells[0], "", '"x":1', cells[place] + ',"value":3']))
        indent = " " * draw(st.integers(0, 3)) if number else ""
        lines.append(f"{indent}{{{','.join(cells)}}}")
    written = "\n".join(lines).encode("utf-8", "surrogatepass")
    if hostile and draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(written)))
        written = (
            written[:at] + draw(st.sampled_from([b"\xff", b"\n", b"\r", b"\xc3", b'"', b",", b"}"])) + written[at:]
        )
    return written.strip(b"\n")


def each_by_itself(written: bytes) -> pa.RecordBatch:
    return columns_of([decode_json(line) for line in written.split(b"\n")])


@settings(max_examples=examples(600), deadline=None)
@given(same_fields(hostile=True))
def test_a_table_of_lines_says_what_each_line_says(written: bytes) -> None:
    found = columns_of_lines(np.frombuffer(written, np.uint8))
    if found is None:
        return
    try:
        expected = each_by_itself(written)
    except PoisonMessage as poison:
        raise AssertionError(f"as a table they are {found.to_pylist()}") from poison
    assert found.cast(NULLABLE_SCHEMA).equals(expected)
    for name in ("machine_id", "sensor_id"):
        held = found.column(name).dictionary.to_pylist()
        assert len({*held}) == len(held)


@settings(max_examples=examples(200), deadline=None)
@given(same_fields(hostile=False))
def test_what_is_written_alike_is_read_as_a_table(written: bytes) -> None:
    found = columns_of_lines(np.frombuffer(written, np.uint8))
    assert found is not None
    assert found.cast(NULLABLE_SCHEMA).equals(each_by_itself(written))
