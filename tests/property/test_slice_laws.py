"""Cutting a file loses no record, doubles none and tears none, whatever is quoted in it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoring.drivers import frames, slices
from scoring.job import JobInputType
from scoring.mini_batch_size import MiniBatchSize, SizeUnit
from scoring.minibatch import InputItem
from scoring.plan import largest_first, plan
from storage.inputs import text_records
from storage.inputs.parquet_rows import cut_parquet
from storage.inputs.text_records import cut_text
from tests.effort import examples

pieces = st.sampled_from(['"', '""', '5"', "\n", "\r\n", ",", ";", "\t", "a", "é", " ", "", '","', '"\n"'])
raw = st.lists(pieces, max_size=60).map("".join)
cells = st.lists(pieces, max_size=4).map("".join)
tables = st.lists(st.lists(cells, min_size=2, max_size=3), min_size=1, max_size=25)
sizes = st.integers(1, 60)


def cut(content: bytes, **options: Any) -> list[bytes]:
    """The pieces' bytes; the header is prepended to each."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(content)
        found = cut_text(path, **options)
    if found is None:
        return [content]
    assert [piece.start for piece in found.pieces[1:]] == [piece.end for piece in found.pieces[:-1]]
    if found.pieces:
        assert (found.pieces[0].start, found.pieces[-1].end) == (found.header, len(content))
    return [content[: found.header] + content[piece.start : piece.end] for piece in found.pieces]


def records(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Any:
    """Blocks of a few bytes, so that quotes lie across their borders."""
    kept = text_records._BLOCK
    text_records._BLOCK = 7
    yield
    text_records._BLOCK = kept


@settings(max_examples=examples(300), deadline=None)
@given(tables, sizes, st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_each_record_of_a_csv_is_in_one_slice(
    table: list[list[str]], size: int, by_rows: bool, quote_all: bool, line_end: str, open_end: bool
) -> None:
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows([["first", "second"], *table])
    content = text.getvalue().encode()
    content = content.removesuffix(line_end.encode()) if open_end else content
    wanted = {"rows": size} if by_rows else {"byte_size": size}
    found = [records(piece) for piece in cut(content, quoted=True, has_header=True, **wanted)]
    assert all(piece[0] == ["first", "second"] for piece in found)
    assert [row for piece in found for row in piece[1:]] == records(content)[1:]
    if by_rows:
        assert all(len(piece) - 1 == size for piece in found[:-1])


@settings(max_examples=examples(200), deadline=None)
@given(raw, sizes, st.booleans())
def test_quotes_in_unexpected_places_are_read_as_pythons_csv_reads_them(text: str, size: int, by_rows: bool) -> None:
    content = ("a,b,c\n" + text).encode()
    wanted = {"rows": size} if by_rows else {"byte_size": size}
    found = cut(content, quoted=True, has_header=True, **wanted)
    assert [row for piece in found for row in records(piece)[1:]] == records(content)[1:]


def ends_by_state_machine(content: bytes) -> list[int]:
    """Places behind each record, read character by character."""
    ends, state, place = [], "start", 0
    while place < len(content):
        char = content[place : place + 1]
        if state == "quoted":
            if char == b'"':
                if content[place + 1 : place + 2] == b'"':
                    place += 1
                else:
                    state = "field"
        elif char == b'"' and state == "start":
            state = "quoted"
        else:
            if char == b"\n":
                ends.append(place + 1)
            state = "start" if char in (b",", b"\n", b"\r") else "field"
        place += 1
    return ends if not content or (ends and ends[-1] == len(content)) else [*ends, len(content)]


@settings(max_examples=examples(600), deadline=None)
@given(st.text(alphabet='""",\n\na', max_size=14), st.integers(1, 12), st.integers(1, 3))
@example(text='5"\n"\n"\n', block=100, rows=1)
@example(text='a"\na"\n"a\n', block=3, rows=1)
def test_records_end_where_a_state_machine_says(text: str, block: int, rows: int) -> None:
    content = (",,\n" + text).encode()
    kept, text_records._BLOCK = text_records._BLOCK, block
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "x.csv"
            path.write_bytes(content)
            one = cut_text(path, quoted=True, has_header=False, rows=1)
            some = cut_text(path, quoted=True, has_header=False, rows=rows)
            by_bytes = cut_text(path, quoted=True, has_header=False, byte_size=rows)
    finally:
        text_records._BLOCK = kept
    assert one is not None
    assert some is not None
    assert by_bytes is not None
    ends = ends_by_state_machine(content)
    assert [piece.end for piece in one.pieces] == ends
    assert [piece.end for piece in some.pieces] == sorted({*ends[rows - 1 :: rows], ends[-1]})
    wanted = -(-len(content) // rows)
    targets = [len(content) * n // wanted for n in range(1, wanted)]
    first = {next(end for end in ends if end >= target) for target in targets}
    assert [piece.end for piece in by_bytes.pieces] == sorted(first | {len(content)})


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=2), max_size=20), sizes)
def test_each_line_of_a_jsonl_is_in_one_slice(objects: list[dict[str, str]], size: int) -> None:
    content = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in objects).encode()
    found = cut(content, quoted=False, has_header=False, byte_size=size)
    assert [json.loads(line) for piece in found for line in piece.decode().split("\n") if line] == objects


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 400), st.integers(1, 90), st.integers(1, 500), st.booleans())
def test_each_row_of_a_parquet_file_is_in_one_slice(total: int, group: int, most: int, by_share: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        pq.write_table(pa.table({"n": range(total)}), path, row_group_size=group)
        wanted = {"share": most / max(most, total)} if by_share else {"rows": most}
        found = cut_parquet(path, **wanted)
        assert found is not None
        assert found.rows == total
        read = [row for start, end in found.pieces for row in slices.rows(str(path), start, end)["n"].to_pylist()]
    assert read == list(range(total))
    if not by_share:
        assert all(0 < end - start <= most for start, end in found.pieces)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(-99, 99), cells), min_size=1, max_size=30), st.integers(1, 12))
def test_slices_read_as_frames_are_the_file_read_as_one(table: list[tuple[int, str]], rows: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        written = pd.DataFrame(table, columns=["n", "text"])
        written.to_csv(path, index=False)
        found = cut_text(path, quoted=True, has_header=True, rows=rows)
        assert found is not None
        parts = [{"kind": "bytes", "start": p.start, "end": p.end, "header": found.header} for p in found.pieces]
        frame, counts = frames.read([str(path)] * len(parts), parts, True, slices)
        whole, _ = frames.read([str(path)], [None], True, slices)
    assert counts == [p.records for p in found.pieces]
    assert frame["n"].tolist() == whole["n"].tolist() == [n for n, _ in table]
    told = [one["text"].astype(object).fillna("").tolist() for one in (frame, whole)]
    assert told[0] == told[1]


weighed = st.lists(
    st.tuples(st.integers(0, 50), st.none() | st.integers(0, 50)).map(
        lambda pair: InputItem(uri="/x", size_bytes=pair[0], records=pair[1])
    ),
    max_size=80,
)


@given(weighed, st.integers(1, 60), st.sampled_from(SizeUnit))
def test_every_item_is_planned_once_in_order_whatever_the_size_counts(
    items: list[InputItem], number: int, unit: SizeUnit
) -> None:
    found = plan(JobInputType.URI_FOLDER, items, MiniBatchSize(number=number, unit=unit))
    assert [item for m in found for item in m.items] == items
    for mini_batch in found:
        if unit is SizeUnit.BYTES:
            assert sum(item.size_bytes for item in mini_batch.items) <= number or len(mini_batch.items) == 1
        if unit is SizeUnit.ROWS and len(mini_batch.items) > 1:
            assert sum(number if item.records is None else item.records for item in mini_batch.items) <= number
    assert sorted(largest_first(found), key=lambda m: m.index) == list(found)
