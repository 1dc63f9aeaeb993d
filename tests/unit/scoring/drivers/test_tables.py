"""Part files joined with static tables and pivoted: what `run` gets of a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.drivers.tables import UnusableTable, keys, read

START = datetime(2026, 1, 1, tzinfo=UTC)
PIVOT = {"index": ["machine_id", "window_start", "window_end"], "columns": "quantity", "values": ["mean", "max"]}


def window(machine: str, quantity: str, minute: int, mean: float) -> dict[str, Any]:
    start = START + timedelta(minutes=minute)
    return {
        "machine_id": machine,
        "sensor_id": f"{machine}/{quantity}",
        "window_start": start,
        "window_end": start + timedelta(minutes=1),
        "mean": mean,
        "max": mean + 1,
    }


def part(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.fixture
def static(tmp_path: Path) -> str:
    folder = tmp_path / "static"
    folder.mkdir()
    sensors = [
        {"sensor_id": f"{m}/{q}", "machine_id": m, "quantity": q, "unit": "u", "high_limit": 9.0}
        for m in ("p1", "p2")
        for q in ("flow", "vibration")
    ]
    part(folder, "sensors", sensors)
    part(folder, "machines", [{"machine_id": m, "site_id": "north", "rated_flow_m3h": 80.0} for m in ("p1", "p2")])
    part(folder, "sites", [{"site_id": "north", "name": "Nordwerk"}])
    return str(folder)


def test_long_rows_become_one_row_a_machine_and_window(tmp_path: Path, static: str) -> None:
    one = part(tmp_path, "one", [window("p2", "flow", 0, 1.0), window("p1", "vibration", 1, 2.0)])
    two = part(tmp_path, "two", [window("p1", "flow", 1, 3.0), window("p1", "flow", 0, 4.0)])
    frame = read([one, two], {"join": ["sensors"], "static_path": static, "pivot": PIVOT})
    assert list(frame.columns) == [
        "machine_id",
        "window_start",
        "window_end",
        "flow_mean",
        "flow_max",
        "vibration_mean",
        "vibration_max",
    ]
    assert [(r.machine_id, r.window_start.minute, r.flow_mean) for r in frame.itertuples()] == [
        ("p1", 0, 4.0),
        ("p1", 1, 3.0),
        ("p2", 0, 1.0),
    ]
    assert frame["vibration_mean"].isna().tolist() == [True, False, True]
    assert str(frame["window_start"].dt.tz) == "UTC"


def test_a_silent_sensor_keeps_its_columns(tmp_path: Path, static: str) -> None:
    only_flow = part(tmp_path, "one", [window("p1", "flow", 0, 1.0)])
    frame = read([only_flow], {"join": ["sensors"], "static_path": static, "pivot": PIVOT})
    assert "vibration_max" in frame.columns
    assert frame["vibration_max"].isna().all()


def test_what_is_known_of_machines_and_sites_goes_with_each_pivoted_row(tmp_path: Path, static: str) -> None:
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0), window("p2", "flow", 0, 2.0)])
    frame = read([rows], {"join": ["sensors", "machines", "sites"], "static_path": static, "pivot": PIVOT})
    assert frame["rated_flow_m3h"].tolist() == [80.0, 80.0]
    assert frame["name"].tolist() == ["Nordwerk", "Nordwerk"]
    assert "unit" not in frame.columns


def test_a_pivot_by_site_joins_the_machines_before(tmp_path: Path, static: str) -> None:
    pivot = {**PIVOT, "index": ["site_id", "window_start"], "columns": "sensor_id"}
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0), window("p2", "flow", 0, 2.0)])
    frame = read([rows], {"join": ["machines"], "static_path": static, "pivot": pivot})
    assert frame["site_id"].tolist() == ["north"]
    assert frame["p2/flow_mean"].tolist() == [2.0]


def test_unknown_sensors_are_left_out_of_the_pivot(
    tmp_path: Path, static: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0), window("p9", "odd", 0, 2.0)])
    frame = read([rows], {"join": ["sensors"], "static_path": static, "pivot": PIVOT})
    assert frame["machine_id"].tolist() == ["p1"]
    assert "1 rows without quantity are left out" in capsys.readouterr().out


def test_without_a_pivot_rows_come_as_they_are_joined(tmp_path: Path, static: str) -> None:
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0), window("p9", "odd", 0, 2.0)])
    frame = read([rows], {"join": ["sensors", "machines"], "static_path": static, "pivot": None})
    assert frame["machine_id"].tolist() == ["p1", "p9"]
    assert frame["quantity"].iloc[0] == "flow"
    assert frame["rated_flow_m3h"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("join", "pivot", "told"),
    [
        (["maintenance"], None, "maintenance cannot be joined; allowed are sensors, machines, sites"),
        (["sites"], None, "sites is joined by site_id, and the rows have no such column"),
        ([], PIVOT, "pivot: the rows have no column 'quantity'; they have machine_id"),
    ],
)
def test_what_cannot_be_joined_or_pivoted_is_told(
    tmp_path: Path, static: str, join: list[str], pivot: dict[str, Any] | None, told: str
) -> None:
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0)])
    with pytest.raises(UnusableTable, match=told):
        read([rows], {"join": join, "static_path": static, "pivot": pivot})


def test_two_rows_for_one_cell_are_refused(tmp_path: Path, static: str) -> None:
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0), window("p1", "flow", 0, 2.0)])
    with pytest.raises(UnusableTable, match=r"pivot: more than one row for .*'p1'"):
        read([rows], {"join": ["sensors"], "static_path": static, "pivot": PIVOT})


def test_keys_are_the_columns_that_say_what_a_row_is_about(tmp_path: Path, static: str) -> None:
    rows = part(tmp_path, "one", [window("p1", "flow", 0, 1.0)])
    frame = read([rows], {"join": ["sensors"], "static_path": static, "pivot": PIVOT})
    assert list(keys(frame, {"pivot": PIVOT}).columns) == PIVOT["index"]
    assert list(keys(read([rows], {}), {}).columns) == ["machine_id", "window_start", "window_end"]
    assert keys(frame[["flow_mean"]], {}) is None
