"""Static data of the fleet, and the files in examples/."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path

import pytest

from ingestion.sensors.fleet import FleetSpec, machines_of
from ingestion.sensors.plant import plant_tables, write_plant
from ingestion.sensors.quantity import QUANTITIES
from storage.postgres import tables

EXAMPLES = Path(__file__).resolve().parents[4] / "examples" / "plant"
TABLES = {"sites", "machines", "sensors", "maintenance"}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_columns_are_the_databases(name: str) -> None:
    row = plant_tables(FleetSpec())[name][0]
    assert list(row) == [column.name for column in tables.metadata.tables[name].columns]


def test_the_files_in_examples_are_the_default_fleet(tmp_path: Path) -> None:
    written = write_plant(FleetSpec(), tmp_path)
    assert {path.stem for path in written} == TABLES
    for path in written:
        mend = "write them again with `tidemill simulate --write-plant examples/plant`"
        assert (EXAMPLES / path.name).read_bytes() == path.read_bytes(), mend


def test_sensors_are_those_that_the_simulator_reads() -> None:
    rows = plant_tables(FleetSpec())["sensors"]
    expected = {
        (f"{machine.machine_id}/{one.name}", one.unit) for machine in machines_of(FleetSpec()) for one in QUANTITIES
    }
    assert {(row["sensor_id"], row["unit"]) for row in rows} == expected
    assert all(float(row["low_limit"]) < float(row["high_limit"]) for row in rows)


def test_keys_are_unique_and_references_hold_for_a_large_fleet(tmp_path: Path) -> None:
    write_plant(FleetSpec(machines=200, sites=8), tmp_path)
    rows = {name: list(csv.DictReader((tmp_path / f"{name}.csv").open())) for name in TABLES}
    for name, key in (("sites", "site_id"), ("machines", "machine_id"), ("sensors", "sensor_id")):
        keys = [row[key] for row in rows[name]]
        assert len(set(keys)) == len(keys)
    visits = [row["maintenance_id"] for row in rows["maintenance"]]
    assert len(set(visits)) == len(visits) > 200
    assert {row["site_id"] for row in rows["machines"]} <= {row["site_id"] for row in rows["sites"]}
    machines = {row["machine_id"]: date.fromisoformat(row["installed_on"]) for row in rows["machines"]}
    for visit in rows["maintenance"]:
        performed = datetime.fromisoformat(visit["performed_at"])
        assert performed.utcoffset() is not None
        assert performed.date() > machines[visit["machine_id"]]


def test_another_seed_is_the_same_plant() -> None:
    assert plant_tables(FleetSpec(seed=1)) == plant_tables(FleetSpec(seed=2))
