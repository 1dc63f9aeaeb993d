"""Whatever was corrected, however it lies in files: the items hold the newest revision of each window, once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.errors import InvalidInput
from scoring.job import Pivot
from scoring.minibatch import InputItem
from storage.inputs.pivoted_rows import with_pivoted_rows
from storage.inputs.revised_rows import without_replaced
from storage.inputs.splitting import split
from storage.lake.tables import WINDOWS
from tests.contract.lake import append, window_rows
from tests.unit.storage.inputs.test_splitting import TABLE, deployed

MACHINES = ("a", "b")


def of(machine: str, number: int, revision: int, sensors: int = 2) -> pa.Table:
    """A machine's window: a row of each sensor."""
    rows = pa.concat_tables([window_rows(1, first=number, machine=machine, revision=revision)] * sensors)
    names = pa.array([f"{machine}/s{n}" for n in range(sensors)])
    return rows.set_column(rows.schema.get_field_index("sensor_id"), rows.schema.field("sensor_id"), names)


def items_of(folder: Path) -> list[InputItem]:
    paths = sorted(folder.rglob("*.parquet"))
    return [InputItem(uri=str(path), size_bytes=6000, rows=pq.read_metadata(path).num_rows) for path in paths]


def rows_of(items: Sequence[InputItem]) -> list[tuple[str, int, int]]:
    found = []
    for item in items:
        table = pq.ParquetFile(item.uri).read()
        if item.slice is not None:
            table = table.slice(item.slice.start, item.slice.end - item.slice.start)
        assert item.rows == table.num_rows
        names = ("sensor_id", "first_offset", "revision")
        found += list(zip(*(table[name].to_pylist() for name in names), strict=True))
    return sorted(found)


@pytest.mark.parametrize("seed", range(12))
def test_the_newest_revision_of_every_window_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    newest: dict[tuple[str, int], int] = {}
    parts = []
    for _ in range(30):
        key = chance.choice(MACHINES), chance.randrange(8)
        newest[key] = newest.get(key, -1) + 1
        parts.append(of(*key, revision=newest[key]))
    while parts:
        count = chance.randint(1, 12)
        taken, parts = parts[:count], parts[count:]
        append(tmp_path / "windows", pa.concat_tables(chance.sample(taken, len(taken))))
    items = without_replaced(items_of(tmp_path / "windows"), tmp_path / "windows")
    expected = sorted((f"{m}/s{s}", n, r) for (m, n), r in newest.items() for s in range(2))
    assert rows_of(items) == expected
    cut = split(deployed("3 rows"), TABLE, items)
    assert rows_of(cut) == expected
    assert max(item.rows or 0 for item in cut) <= 3


def test_a_pivot_counts_the_rows_that_are_left(tmp_path: Path) -> None:
    folder = tmp_path / "windows"
    append(folder, pa.concat_tables([of("a", n, 0) for n in range(3)]).combine_chunks())
    append(folder, of("a", 1, 1))
    items = without_replaced(items_of(folder), folder)
    pivot = Pivot(index=("machine_id", "window_start"), columns="sensor_id", values=("mean",))
    assert sum(item.rows or 0 for item in with_pivoted_rows(items, pivot)) == 3


def test_windows_that_were_never_corrected_are_not_opened(tmp_path: Path) -> None:
    append(tmp_path / "windows", of("a", 0, 0))
    items = [InputItem(uri="/nowhere.parquet", size_bytes=1, rows=2)]
    assert without_replaced(items, tmp_path / "windows") is items


def test_a_part_file_that_is_none_is_named(tmp_path: Path) -> None:
    append(tmp_path / "windows", of("a", 0, 1))
    with pytest.raises(InvalidInput, match=r"/nowhere.parquet cannot be read"):
        without_replaced([InputItem(uri="/nowhere.parquet", size_bytes=1, rows=2)], tmp_path / "windows")


def test_rows_from_before_there_were_revisions_are_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "windows"
    older = of("a", 0, 0).drop_columns(["revision"])
    append(folder, of("a", 0, 1))
    pq.write_table(older, folder / "date=2026-03-01" / "older.parquet")
    assert rows_of(without_replaced(items_of(folder), folder)) == [("a/s0", 0, 1), ("a/s1", 0, 1)]
    assert "revision" in WINDOWS.schema.names
