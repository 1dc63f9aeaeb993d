"""Items of part files are counted as the pivot will make them: planned and done have one unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.drivers.tables import read
from scoring.errors import InvalidInput
from scoring.job import Pivot
from scoring.minibatch import InputItem
from storage.inputs.pivoted_rows import with_pivoted_rows

START = datetime(2026, 3, 29, tzinfo=UTC)
PIVOT = Pivot(index=("machine_id", "window_start"), columns="sensor_id", values=("mean",))


def part_file(folder: Path, name: str, machines: int, windows: int, sensors: int) -> InputItem:
    rows = [
        {"machine_id": f"m{m}", "window_start": START + timedelta(minutes=w), "sensor_id": f"s{s}", "mean": 1.0}
        for m in range(machines)
        for w in range(windows)
        for s in range(sensors)
    ]
    path = folder / name
    pq.write_table(pa.Table.from_pylist(rows), path)
    return InputItem(uri=str(path), size_bytes=path.stat().st_size, rows=len(rows))


def test_each_file_has_as_many_items_as_the_script_gets(tmp_path: Path) -> None:
    items = [part_file(tmp_path, "a", 2, 3, 4), part_file(tmp_path, "b", 1, 5, 1)]
    counted = with_pivoted_rows(items, PIVOT)
    assert [(item.rows, item.records) for item in counted] == [(6, 24), (5, 5)]
    for item in counted:
        spec = {"join": [], "pivot": {"index": list(PIVOT.index), "columns": "sensor_id", "values": ["mean"]}}
        assert len(read([item.uri], spec)) == item.rows


def test_an_index_from_a_joined_table_leaves_the_files_rows(tmp_path: Path) -> None:
    item = part_file(tmp_path, "a", 2, 3, 4)
    joined = Pivot(index=("site_id", "window_start"), columns="sensor_id", values=("mean",))
    assert with_pivoted_rows([item], joined) == [item]


def test_a_file_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        with_pivoted_rows([InputItem(uri=str(tmp_path / "gone"), size_bytes=1, rows=1)], PIVOT)
