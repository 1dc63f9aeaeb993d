"""The fleet as static data: the rows of sites, machines, sensors and maintenance that a plant's people would keep.

They depend on which machines there are, not on the seed: another seed is other weather and other faults, same plant.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from ingestion.sensors import pump as physics
from ingestion.sensors.fleet import FleetSpec, machines_of
from ingestion.sensors.machine import Machine
from ingestion.sensors.noise import key_of, uniform
from ingestion.sensors.pump import PumpModel
from ingestion.sensors.quantity import QUANTITIES, sensor_id

Row = Mapping[str, str | float]

_LAST_VISIT = datetime(2026, 1, 31, tzinfo=UTC)
_VISITS: tuple[tuple[str, str], ...] = (
    ("lubrication", "bearings greased"),
    ("strainer_cleaning", "suction strainer cleaned"),
    ("alignment", "coupling aligned by laser"),
    ("bearing_replacement", "both bearings replaced"),
    ("impeller_overhaul", "impeller and wear rings replaced"),
)


def plant_tables(spec: FleetSpec) -> dict[str, list[Row]]:
    """Rows by table name, columns as the database's tables have them, parents before children."""
    machines = machines_of(spec)
    return {
        "sites": [
            {
                "site_id": site.site_id,
                "name": site.name,
                "country": site.country,
                "latitude": site.latitude,
                "longitude": site.longitude,
                "time_zone": site.time_zone,
            }
            for site in spec.sites_used
        ],
        "machines": [_machine_row(machine) for machine in machines],
        "sensors": [row for machine in machines for row in _sensor_rows(machine)],
        "maintenance": [row for machine in machines for row in _maintenance_rows(machine)],
    }


def write_plant(spec: FleetSpec, folder: Path) -> list[Path]:
    """Write `<table>.csv` for each table below `folder`, which is made; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in plant_tables(spec).items():
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        written.append(path)
    return written


def limits(model: PumpModel) -> tuple[tuple[float, float], ...]:
    """Alarm limits (low, high) of each quantity, in its unit: a healthy pump never reaches them at any load."""
    rated_bar = model.rated_head_m * physics.BAR_PER_METRE
    found = (
        (0.30 * model.rated_flow_m3h, 1.40 * model.rated_flow_m3h),
        (0.0, 0.8),
        (0.45 * rated_bar, 1.45 * rated_bar),
        (0.30 * model.rated_current_a, 1.45 * model.rated_current_a),
        (0.0, 85.0),
        (0.0, 4.5),
    )
    return tuple((round(low, 2), round(high, 2)) for low, high in found)


def _machine_row(machine: Machine) -> Row:
    model = machine.model
    return {
        "machine_id": machine.machine_id,
        "site_id": machine.site_id,
        "model": model.name,
        "rated_flow_m3h": model.rated_flow_m3h,
        "rated_head_m": model.rated_head_m,
        "rated_power_kw": model.motor_power_kw,
        "rated_speed_rpm": model.rated_speed_rpm,
        "installed_on": _installed_on(machine.machine_id).isoformat(),
    }


def _sensor_rows(machine: Machine) -> list[Row]:
    return [
        {
            "sensor_id": sensor_id(machine.machine_id, quantity.name),
            "machine_id": machine.machine_id,
            "quantity": quantity.name,
            "unit": quantity.unit,
            "low_limit": low,
            "high_limit": high,
        }
        for quantity, (low, high) in zip(QUANTITIES, limits(machine.model), strict=True)
    ]


def _maintenance_rows(machine: Machine) -> list[Row]:
    draws = _draws(machine.machine_id, "maintenance", 9)
    visits: Sequence[float] = sorted(draws[1 : 2 + int(draws[0] * 4)], reverse=True)
    rows: list[Row] = []
    for number, ago in enumerate(visits):
        kind, note = _VISITS[int(draws[5 + number % 4] * len(_VISITS))]
        when = _LAST_VISIT - timedelta(days=round(ago * 700), hours=15 - round(ago * 7))
        rows.append(
            {
                "maintenance_id": f"{machine.machine_id}-{when:%Y%m%d}-{number + 1}",
                "machine_id": machine.machine_id,
                "performed_at": when.isoformat(),
                "kind": kind,
                "note": note,
            }
        )
    return rows


def _installed_on(machine_id: str) -> date:
    return date(2012, 1, 1) + timedelta(days=int(_draws(machine_id, "installed", 1)[0] * 4000))


def _draws(machine_id: str, what: str, count: int) -> list[float]:
    return [float(draw) for draw in uniform(key_of(0, machine_id, what), np.arange(count, dtype=np.int64))]
