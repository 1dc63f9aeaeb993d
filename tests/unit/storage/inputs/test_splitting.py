"""Which files are cut, and which stay whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.deployment import Deployment, InputFormat, OutputFormat
from scoring.errors import InvalidInput
from scoring.job import JobInput, JobInputType, Pivot
from scoring.mini_batch_size import MiniBatchSize
from scoring.minibatch import InputItem, Slice, SliceKind
from storage.inputs import splitting
from storage.inputs.splitting import split
from tests.contract.values import a_deployment

FOLDER = JobInput(type=JobInputType.URI_FOLDER, path="/data")
TABLE = JobInput(type=JobInputType.TABLE, path="lake://windows")
DOCUMENT = (Path(__file__).parents[4] / "docs" / "mini-batches.md").read_text()


def deployed(size: str, kind: InputFormat = InputFormat.SLICES, **changes: Any) -> Deployment:
    found = MiniBatchSize.parse(size)
    return a_deployment(mini_batch_size=found.number, mini_batch_unit=found.unit, input_format=kind, **changes)


def file(path: Path, content: str) -> InputItem:
    path.write_text(content)
    return InputItem(uri=str(path), size_bytes=len(content.encode()))


def parquet(path: Path, rows: int, group: int) -> InputItem:
    pq.write_table(pa.table({"n": range(rows)}), path, row_group_size=group)
    return InputItem(uri=str(path), size_bytes=path.stat().st_size)


def ranges(items: Any) -> list[tuple[int, int] | None]:
    return [None if item.slice is None else (item.slice.start, item.slice.end) for item in items]


def test_lines_are_cut_at_their_ends_and_the_header_goes_with_each(tmp_path: Path) -> None:
    item = file(tmp_path / "a.csv", "a,b\n1,2\n3,4\n5,6\n")
    first, second = split(deployed("2 rows"), FOLDER, [item])
    assert first.slice == Slice(kind=SliceKind.BYTES, start=4, end=12, header=4)
    assert second.slice == Slice(kind=SliceKind.BYTES, start=12, end=16, header=4)
    assert [(piece.records, piece.rows, piece.size_bytes) for piece in (first, second)] == [(2, None, 8), (1, None, 4)]


def test_rows_count_as_items_where_run_gets_rows(tmp_path: Path) -> None:
    item = file(tmp_path / "a.csv", "a\n1\n2\n3\n")
    assert [piece.rows for piece in split(deployed("2 rows", InputFormat.DATAFRAME), FOLDER, [item])] == [2, 1]
    found = parquet(tmp_path / "a.parquet", 5, 5)
    assert [piece.rows for piece in split(deployed("9 rows", InputFormat.DATAFRAME), FOLDER, [found])] == [5]


def test_a_file_that_fits_is_not_even_opened() -> None:
    items = [InputItem(uri=f"/not/there{ending}", size_bytes=1024) for ending in (".csv", ".parquet", ".jsonl")]
    assert split(deployed("1kb"), FOLDER, items) == items


@pytest.mark.parametrize("name", ["a.json", "a.png", "a.csv.gz", "a", "a.txt"])
def test_other_files_stay_whole_however_large(tmp_path: Path, name: str) -> None:
    items = [file(tmp_path / name, "1\n" * 9000)]
    assert split(deployed("1kb"), FOLDER, items) == items


@pytest.mark.parametrize("name", ["a.parquet", "b.csv"])
def test_a_file_that_is_not_what_its_ending_says_is_left_to_whoever_reads_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe" + "a\n".encode("utf-16-le") * 2000)
    items = [InputItem(uri=str(tmp_path / name), size_bytes=8002)]
    assert split(deployed("1kb"), FOLDER, items) == items


@pytest.mark.parametrize("size", ["10", "10MB"])
def test_with_input_format_files_nothing_is_cut(tmp_path: Path, size: str) -> None:
    items = [InputItem(uri=str(tmp_path / "gone.csv"), size_bytes=1 << 40)]
    assert split(deployed(size, InputFormat.FILES), FOLDER, items) is items


def test_rows_of_whole_files_cannot_be_had() -> None:
    with pytest.raises(InvalidInput, match="mini_batch_size: found `10 rows`; input_format files gives whole files"):
        split(deployed("10 rows", InputFormat.FILES), FOLDER, [])


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"gone\.csv: cannot be read: No such file"):
        split(deployed("1kb"), FOLDER, [InputItem(uri=str(tmp_path / "gone.csv"), size_bytes=9999)])


def test_row_groups_are_kept_together_and_one_too_large_is_cut_evenly(tmp_path: Path) -> None:
    small = parquet(tmp_path / "small-groups.parquet", 100, 30)
    assert ranges(split(deployed("60 rows"), FOLDER, [small])) == [(0, 60), (60, 100)]
    large = parquet(tmp_path / "large-group.parquet", 100, 100)
    assert ranges(split(deployed("40 rows"), FOLDER, [large])) == [(0, 33), (33, 66), (66, 100)]
    assert sum(piece.size_bytes for piece in split(deployed("40 rows"), FOLDER, [large])) == large.size_bytes


def test_a_text_file_is_cut_into_nearly_equal_pieces(tmp_path: Path) -> None:
    item = file(tmp_path / "a.jsonl", "".join(f'{{"n": {n:05d}}}\n' for n in range(1000)))
    sizes = [piece.size_bytes for piece in split(deployed("4kb"), FOLDER, [item])]
    assert len(sizes) == 4
    assert max(sizes) - min(sizes) <= 2 * 13


def test_part_files_of_a_table_are_cut_only_on_demand_and_never_under_a_pivot(tmp_path: Path) -> None:
    path = parquet(tmp_path / "p.parquet", 100, 50)
    item = InputItem(uri=path.uri, size_bytes=path.size_bytes, rows=100)
    pivot = Pivot(index=("machine_id",), columns="quantity", values=("mean",))
    whole = JobInput(type=JobInputType.TABLE, path="lake://windows", pivot=pivot)
    assert split(deployed("10"), TABLE, [item]) == [item]
    assert split(deployed("10 rows"), whole, [item]) == [item]
    cut = split(deployed("50 rows", InputFormat.FILES), TABLE, [item])
    assert [(piece.rows, piece.slice and piece.slice.start) for piece in cut] == [(50, 0), (50, 50)]


def test_the_page_names_the_same_endings_and_formats() -> None:
    rows = [re.findall(r"`([^`]+)`", line.split("|")[1]) for line in DOCUMENT.splitlines() if line.startswith("| `.")]
    assert [set(names) for names in rows] == [splitting.QUOTED, splitting.LINES, splitting.PARQUET, {".json"}]
    for formats in (InputFormat, OutputFormat):
        assert all(re.search(rf"^\| `{kind.value}`", DOCUMENT, re.MULTILINE) for kind in formats)
