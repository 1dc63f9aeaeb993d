"""What is typed after `tidemill simulate`."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.simulate import delivery_shares, explicit_fault, simulate, span
from ingestion.errors import InvalidInput
from ingestion.sensors.delivery import DeliveryShares
from ingestion.sensors.faults import FaultKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("start", "until", "speed", "expected"),
    [
        (None, None, 1.0, (NOW, None)),
        (None, 6 * HOUR, math.inf, (NOW - 6 * HOUR, NOW)),
        (None, 6 * HOUR, 1.0, (NOW, NOW + 6 * HOUR)),
        (None, 6 * HOUR, 2.0, (NOW - 3 * HOUR, NOW + 3 * HOUR)),
        (6 * HOUR, None, math.inf, (NOW - 6 * HOUR, None)),
        (6 * HOUR, 2 * HOUR, 1.0, (NOW - 6 * HOUR, NOW - 4 * HOUR)),
        (NOW - 5 * HOUR, NOW - HOUR, 1.0, (NOW - 5 * HOUR, NOW - HOUR)),
    ],
)
def test_start_and_end(
    start: datetime | timedelta | None,
    until: datetime | timedelta | None,
    speed: float,
    expected: tuple[datetime, datetime | None],
) -> None:
    assert span(start, until, speed=speed, now=NOW) == expected


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is not after --start"):
        span(None, NOW - HOUR, speed=1.0, now=NOW)


def test_delivery_faults_as_one_share_or_by_name() -> None:
    assert delivery_shares("0") == DeliveryShares()
    assert sum(delivery_shares("0.05").in_order().values()) == pytest.approx(0.05)
    assert delivery_shares("late=0.01, corrupt=0.002") == DeliveryShares(late=0.01, corrupt=0.002)


@pytest.mark.parametrize("text", ["x", "stuck=0.1", "late=x", "late=2", "late"])
def test_wrong_delivery_faults_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="delivery"):
        delivery_shares(text)


def test_a_fault_at_a_place() -> None:
    found = explicit_fault("bearing_damage@north-pump-02+3h+90m", NOW)
    assert (found.kind, found.machine_id, found.sensor_id) == (FaultKind.BEARING_DAMAGE, "north-pump-02", None)
    assert (found.starts_at, found.ends_at) == (NOW + 3 * HOUR, NOW + 4.5 * HOUR)
    of_sensor = explicit_fault("sensor_drift@north-pump-02/flow+0s+1h", NOW)
    assert (of_sensor.machine_id, of_sensor.sensor_id) == ("north-pump-02", "north-pump-02/flow")
    assert of_sensor.starts_at == NOW


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rust@north-pump-02+3h+90m", "kind 'rust' found; allowed are bearing_damage"),
        ("wear@north-pump-02+3h", "write e.g."),
        ("wear@north-pump-02+3+4", "no duration"),
        ("wear@north-pump-02/flow+3h+1h", "wear needs a machine"),
        ("sensor_stuck@north-pump-02+3h+1h", "sensor_stuck needs a sensor"),
    ],
)
def test_wrong_faults_are_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        explicit_fault(text, NOW)


def test_the_plant_is_written_without_a_broker(tmp_path: Path) -> None:
    shown = CliRunner().invoke(simulate, ["--write-plant", str(tmp_path / "plant"), "--machines", "5"])
    assert shown.exit_code == 0, shown.output
    assert len((tmp_path / "plant" / "machines.csv").read_text().splitlines()) == 6
