from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType

from storage.lake.changes import gained
from storage.lake.compaction import LARGEST_FILE, compact, joins, tier_of
from storage.lake.predictions import PREDICTIONS
from storage.lake.table_log import LiveFile
from storage.lake.vacuum import condition
from tests.contract.lake import append, window_rows


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return DeltaTable(str(folder)).to_pyarrow_table().sort_by("first_offset").to_pylist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(10):
        append(tmp_path / "windows", window_rows(3, first=10 * number))
    append(tmp_path / "windows", window_rows(2, first=500, day=date(2026, 3, 2)))
    return tmp_path / "windows"


def test_the_rows_stay_and_the_files_are_fewer(folder: Path) -> None:
    before, schema = rows_of(folder), DeltaTable(str(folder)).schema()
    done = compact(folder)
    assert (done.joins, done.files_before, done.files_after, done.lost) == (1, 10, 1, 0)
    assert rows_of(folder) == before
    assert DeltaTable(str(folder)).schema() == schema
    assert condition(folder).files == 2
    assert compact(folder).joins == 0


def test_what_is_joined_is_not_scored_again(folder: Path) -> None:
    before = gained(folder, 4, 10)
    compact(folder)
    assert gained(folder, 10, 11) == []
    assert gained(folder, 4, 11) == before
    assert [file.rows for file in gained(folder, None, 11)] == [30, 2]
    append(folder, window_rows(1, first=900))
    assert [file.rows for file in gained(folder, 10, 12)] == [1]


def test_statistics_let_readers_pass_the_joined_file_over(folder: Path) -> None:
    compact(folder)
    actions = pa.table(DeltaTable(str(folder)).get_add_actions(flatten=True)).to_pylist()
    (joined,) = [action for action in actions if action["num_records"] == 30]
    times = window_rows(1, first=0)["window_start"][0].as_py(), window_rows(1, first=92)["window_start"][0].as_py()
    assert (joined["min.window_start"], joined["max.window_start"]) == times
    table = DeltaTable(str(folder)).to_pyarrow_table(filters=[("window_start", "=", times[1])])
    assert table.num_rows == 1


def test_a_writer_who_appends_is_no_hindrance(folder: Path) -> None:
    def another(step: str) -> None:
        if step == "written":
            append(folder, window_rows(1, first=800))
            append(folder, window_rows(1, first=801))

    before = rows_of(folder)
    done = compact(folder, step=another)
    assert (done.joins, done.lost) == (1, 0)
    assert [row for row in rows_of(folder) if row["first_offset"] not in (800, 801)] == before
    assert len(rows_of(folder)) == len(before) + 2
    assert DeltaTable(str(folder)).version() == 13


def test_a_writer_who_removes_a_file_wins(folder: Path) -> None:
    def another(step: str) -> None:
        if step == "written":
            DeltaTable(str(folder)).delete("first_offset = 11")

    before = rows_of(folder)
    done = compact(folder, step=another)
    assert (done.joins, done.lost) == (0, 1)
    assert rows_of(folder) == [row for row in before if row["first_offset"] != 11]
    assert condition(folder).dead_files == 1, "the joined file is gone again"
    assert compact(folder).joins == 1
    assert rows_of(folder) == [row for row in before if row["first_offset"] != 11]


def test_a_writer_who_removes_a_file_that_was_joined_is_refused_or_removes_its_rows(folder: Path) -> None:
    stale = DeltaTable(str(folder))
    compact(folder)
    before = rows_of(folder)
    with pytest.raises(Exception, match=r"(?i)conflict|concurrent|delete"):
        stale.delete("first_offset = 11")
    assert rows_of(folder) == before


def test_a_column_that_a_file_did_not_have_yet_is_null(folder: Path) -> None:
    DeltaTable(str(folder)).alter.add_columns([Field("remark", PrimitiveType("long"))])
    compact(folder)
    held = DeltaTable(str(folder)).to_pyarrow_table()
    assert held["remark"].null_count == held.num_rows == 32


def test_predictions_with_nulls(tmp_path: Path) -> None:
    names = {field.name: [None] for field in PREDICTIONS.schema if field.nullable}
    row = {
        **names,
        "job_name": ["j"],
        "endpoint_name": ["e"],
        "deployment_name": ["d"],
        "model_name": ["m"],
        "model_version": ["1"],
        "mini_batch": [0],
        "row": [0],
        "scored_at": window_rows(1)["window_start"].to_pylist(),
        "date": [date(2026, 3, 1)],
    }
    for _ in range(8):
        append(tmp_path / "p", pa.table(row, schema=PREDICTIONS.schema))
    compact(tmp_path / "p")
    held = DeltaTable(str(tmp_path / "p"))
    assert held.to_pyarrow_table().num_rows == 8
    (action,) = pa.table(held.get_add_actions(flatten=True)).to_pylist()
    assert action["null_count.machine_id"] == 8
    newest = max((tmp_path / "p" / "_delta_log").glob("*.json")).read_text().splitlines()
    assert all(not json.loads(line).get("add", {}).get("dataChange", False) for line in newest)


def file(number: int, size: int, day: str = "2026-03-01") -> LiveFile:
    return LiveFile(path=f"{number:03}", date=day, size_bytes=size)


def test_files_of_one_size_and_date_are_joined() -> None:
    small = [file(n, 5_000) for n in range(9)]
    middle = [file(100 + n, 50_000) for n in range(7)]
    other_day = [file(200 + n, 5_000, "2026-03-02") for n in range(8)]
    assert joins([*small, *middle, *other_day]) == [small, other_day]
    assert [len(group) for group in joins([*small, *middle], fewest=2)] == [16]
    assert joins([file(n, LARGEST_FILE) for n in range(20)]) == []


def test_a_join_has_a_largest_size() -> None:
    found = joins([file(n, LARGEST_FILE // 10) for n in range(25)])
    assert [len(group) for group in found] == [10, 10]


def test_each_row_is_rewritten_seldom() -> None:
    """A file a commit for a day: how often does a row move? By the logarithm, not by the number of commits."""
    files: list[LiveFile] = []
    rewritten = 0
    for number in range(5000):
        files.append(file(number, 4000))
        for group in joins(files) if number % 10 == 9 else []:
            size = sum(one.size_bytes for one in group)
            rewritten += size
            files = [one for one in files if one not in group] + [file(10_000 + number, size)]
    assert rewritten < 5 * 5000 * 4000
    assert len(files) < 60
    assert [tier_of(size) for size in (1, 16 * 1024, 17 * 1024, 1 << 20)] == [0, 0, 1, 2]
