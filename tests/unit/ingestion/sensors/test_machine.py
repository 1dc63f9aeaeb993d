"""What faults do to a pump's readings, and what health looks like beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ingestion.sensors.faults import FaultEpisode, FaultKind, episode
from ingestion.sensors.fleet import Fleet, FleetSpec, machines_of
from ingestion.sensors.machine import samples
from ingestion.sensors.noise import Floats
from ingestion.sensors.plant import limits
from ingestion.sensors.quantity import Channel

START = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = FleetSpec(machines=4, sites=1, interval=timedelta(seconds=10))
MACHINE = "north-pump-02"
LASTS = timedelta(hours=5)


def values(*episodes: FaultEpisode) -> Floats:
    """Five hours and more of one pump's values, [channel, instant]."""
    machine = next(one for one in machines_of(SPEC) if one.machine_id == MACHINE)
    block = next(samples(machine, episodes, seed=3, first_us=int(START.timestamp() * 1e6), interval_us=10_000_000))
    return block.values


def fault(kind: FaultKind) -> FaultEpisode:
    return episode(machine_id=MACHINE, kind=kind, starts_at=START, ends_at=START + LASTS)


HEALTHY = values()
END = slice(1700, 1790)  # the last quarter of an hour before the repair
EARLY = slice(0, 90)


def change(kind: FaultKind, channel: Channel, when: slice = END) -> float:
    """Mean change of a quantity that the fault makes, against the same pump without it."""
    return float((values(fault(kind))[channel, when] - HEALTHY[channel, when]).mean())


def test_bearing_damage_shows_in_vibration_first_and_in_temperature_late() -> None:
    damaged = values(fault(FaultKind.BEARING_DAMAGE))
    assert change(FaultKind.BEARING_DAMAGE, Channel.VIBRATION) > 3
    assert change(FaultKind.BEARING_DAMAGE, Channel.BEARING_TEMPERATURE) > 12
    middle = slice(850, 900)
    assert (damaged - HEALTHY)[Channel.VIBRATION, middle].mean() > 0.8
    assert (damaged - HEALTHY)[Channel.BEARING_TEMPERATURE, middle].mean() < 5
    np.testing.assert_array_equal(damaged[Channel.FLOW], HEALTHY[Channel.FLOW])


def test_wear_costs_flow_and_head() -> None:
    assert change(FaultKind.WEAR, Channel.FLOW) < -0.03 * HEALTHY[Channel.FLOW, END].mean()
    assert change(FaultKind.WEAR, Channel.DISCHARGE_PRESSURE) < -0.1
    worn = values(fault(FaultKind.WEAR))
    ratio = worn[Channel.MOTOR_CURRENT] / worn[Channel.FLOW]
    assert ratio[END].mean() > 1.03 * (HEALTHY[Channel.MOTOR_CURRENT] / HEALTHY[Channel.FLOW])[END].mean()


def test_a_clogging_strainer_pulls_the_suction_down_until_the_pump_cavitates() -> None:
    # in the evening, when demand is high: NPSH required and losses both grow with flow
    assert change(FaultKind.CAVITATION, Channel.SUCTION_PRESSURE) < -0.2
    clogged = values(fault(FaultKind.CAVITATION))
    assert clogged[Channel.SUCTION_PRESSURE].min() >= -1.013


def test_a_fault_begins_invisibly() -> None:
    for kind in (FaultKind.BEARING_DAMAGE, FaultKind.WEAR, FaultKind.CAVITATION):
        early = np.abs((values(fault(kind)) - HEALTHY)[:, EARLY]).mean(axis=1)
        spread = HEALTHY.std(axis=1)
        assert (early < 0.25 * spread).all(), kind


def test_after_the_repair_the_pump_is_as_it_was_and_its_bearing_cools_down() -> None:
    short = episode(
        machine_id=MACHINE, kind=FaultKind.BEARING_DAMAGE, starts_at=START, ends_at=START + timedelta(hours=2)
    )
    repaired = values(short)
    after = 2 * 360
    np.testing.assert_array_equal(repaired[Channel.VIBRATION, after:], HEALTHY[Channel.VIBRATION, after:])
    warmer = (repaired - HEALTHY)[Channel.BEARING_TEMPERATURE]
    assert warmer[after] > 5
    assert warmer[after + 360] < 0.2 * warmer[after]


def test_a_healthy_fleet_keeps_its_limits_over_a_week_of_any_weather() -> None:
    spec = FleetSpec(machines=16, sites=8, seed=11, interval=timedelta(minutes=2))
    by_machine = {machine.machine_id: limits(machine.model) for machine in machines_of(spec)}
    piece = next(Fleet(spec, starts_at=START).slices(timedelta(days=7)))
    for batch in piece.batches:
        found = np.asarray(batch.column("value")).reshape(-1, 6)
        low, high = np.array(by_machine[batch.column("machine_id")[0].as_py()]).T
        assert (found >= low).all()
        assert (found <= high).all()


def test_load_alone_moves_every_quantity_more_than_half_a_fault_does() -> None:
    """So that no plain threshold parts the beginning of a fault from the variation of health."""
    half = slice(850, 900)
    for kind, channel in (
        (FaultKind.WEAR, Channel.FLOW),
        (FaultKind.WEAR, Channel.MOTOR_CURRENT),
        (FaultKind.BEARING_DAMAGE, Channel.BEARING_TEMPERATURE),
        (FaultKind.WEAR, Channel.DISCHARGE_PRESSURE),
    ):
        over_a_day = _day_of(channel)
        assert np.ptp(over_a_day) > 2 * abs(change(kind, channel, half)), (kind, channel)


def _day_of(channel: Channel) -> Floats:
    spec = FleetSpec(machines=4, sites=1, seed=3, interval=timedelta(seconds=60))
    piece = next(Fleet(spec, starts_at=START).slices(timedelta(days=1)))
    batch = next(one for one in piece.batches if one.column("machine_id")[0].as_py() == MACHINE)
    found: Floats = np.asarray(batch.column("value")).reshape(-1, 6)[:, channel]
    return found


@pytest.mark.parametrize("kind", [FaultKind.SENSOR_DROPOUT])
def test_lost_readings_are_not_published_and_leave_a_gap_in_the_sequence(kind: FaultKind) -> None:
    lost = episode(machine_id=MACHINE, kind=kind, starts_at=START, ends_at=START + LASTS, sensor=f"{MACHINE}/vibration")
    piece = next(Fleet(SPEC, starts_at=START, episodes=[lost]).slices(LASTS))
    table = pa.Table.from_batches(piece.batches)
    counts = table.group_by("sensor_id").aggregate([("sequence", "count"), ("sequence", "max")]).to_pylist()
    by_sensor = {row["sensor_id"]: row for row in counts}
    assert by_sensor[f"{MACHINE}/vibration"]["sequence_count"] < 0.8 * by_sensor[f"{MACHINE}/flow"]["sequence_count"]
    assert by_sensor[f"{MACHINE}/flow"]["sequence_max"] == by_sensor[f"{MACHINE}/flow"]["sequence_count"] - 1
    assert table.column("value").null_count == 0
