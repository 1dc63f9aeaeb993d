"""Ground truth in the lake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable

from ingestion.sensors.faults import FaultEpisode, FaultKind, episode
from storage.lake.faults import write_faults
from storage.lake.tables import FAULTS

START = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def wear(number: int) -> FaultEpisode:
    return episode(
        machine_id=f"north-pump-{number:02d}",
        kind=FaultKind.WEAR,
        starts_at=START,
        ends_at=START + timedelta(hours=2),
        severity=0.9,
    )


def stored(lake: Path) -> list[dict[str, object]]:
    table = DeltaTable(str(FAULTS.path(lake))).to_pyarrow_table()
    assert set(table.column_names) == set(FAULTS.schema.names)
    return table.to_pylist()


def test_every_field_is_kept_and_the_date_is_the_starts(tmp_path: Path) -> None:
    one = wear(1)
    assert write_faults(tmp_path, [one]) == 1
    (row,) = stored(tmp_path)
    assert row == {
        "fault_id": one.fault_id,
        "machine_id": "north-pump-01",
        "kind": "wear",
        "sensor_id": None,
        "starts_at": START,
        "ends_at": START + timedelta(hours=2),
        "severity": 0.9,
        "date": START.date(),
    }


def test_writing_twice_is_writing_once(tmp_path: Path) -> None:
    assert write_faults(tmp_path, [wear(1), wear(2), wear(2)]) == 2
    assert write_faults(tmp_path, [wear(2), wear(3)]) == 1
    assert sorted(str(row["machine_id"]) for row in stored(tmp_path)) == [f"north-pump-{n:02d}" for n in (1, 2, 3)]


def test_no_episodes_make_no_table(tmp_path: Path) -> None:
    assert write_faults(tmp_path, []) == 0
    assert not FAULTS.path(tmp_path).exists()


def test_writers_at_once_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        wrote = list(pool.map(lambda n: write_faults(tmp_path, [wear(n), wear(n + 1)]), [1, 3, 5, 7]))
    assert sum(wrote) == 8
    assert len({row["fault_id"] for row in stored(tmp_path)}) == len(stored(tmp_path)) == 8
