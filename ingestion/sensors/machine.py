"""One pump with its six sensors: from load and faults to readings, a block of instants at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ingestion.codec import to_microseconds
from ingestion.sensors import pump as physics
from ingestion.sensors.bearing import bearing_effect
from ingestion.sensors.cavitation import cavitation_effect, intensity, npsh_margin_m, suction_pressure_bar
from ingestion.sensors.faults import FaultEpisode, FaultKind, severity_at
from ingestion.sensors.lag import first_order_lag
from ingestion.sensors.load import Climate, load_at
from ingestion.sensors.noise import Floats, Ints, key_of, normal, uniform
from ingestion.sensors.pump import PumpModel
from ingestion.sensors.quantity import QUANTITIES, Channel, sensor_id
from ingestion.sensors.sensor_faults import distort, key_of_fault
from ingestion.sensors.wear import wear_effect

BLOCK = 2048
"""Instants computed at once. Fixed, since the bearing's temperature runs from one block into the next."""

_BEARING_TIME_CONSTANT_S = 900.0
_DEEPEST_HEALTHY_WEAR = 0.12  # pumps of a fleet are not equally new


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A pump at its place."""

    machine_id: str
    site_id: str
    model: PumpModel
    climate: Climate


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """All sensors of one machine at consecutive instants. values[channel, instant]; NaN where no reading was made."""

    time_us: Ints
    sequence: Ints
    values: Floats


def spans(model: PumpModel) -> Floats:
    """Range in service of each channel, in its unit: what sensor faults are measured by."""
    return np.array(
        [
            model.rated_flow_m3h,
            1.0,
            model.shutoff_head_m * physics.BAR_PER_METRE,
            model.rated_current_a,
            40.0,
            5.0,
        ]
    )


def healthy_wear(seed: int, machine_id: str) -> float:
    """How worn this machine is while nobody would call it worn."""
    return _DEEPEST_HEALTHY_WEAR * float(uniform(key_of(seed, machine_id, "age"), np.array([0]))[0])


def samples(
    machine: Machine, episodes: Sequence[FaultEpisode], *, seed: int, first_us: int, interval_us: int
) -> Iterator[Samples]:
    """Readings of one machine from `first_us` on, every `interval_us`, without end, BLOCK instants at a time."""
    mine = [one for one in episodes if one.machine_id == machine.machine_id]
    bearing_c: float | None = None
    held: dict[str, float] = {}
    number = 0
    while True:
        sequence = np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.int64)
        time_us = first_us + sequence * interval_us
        values, bearing_c = _measure(machine, mine, seed, time_us, interval_us / 1e6, bearing_c)
        for one in mine:
            if one.kind.is_of_sensor:
                _distort(machine, one, seed, time_us, values, held)
        for channel, quantity in enumerate(QUANTITIES):
            np.round(values[channel], quantity.decimals, out=values[channel])
        yield Samples(time_us=time_us, sequence=sequence, values=values)
        number += 1


def _measure(
    machine: Machine,
    episodes: Sequence[FaultEpisode],
    seed: int,
    time_us: Ints,
    step_s: float,
    bearing_c: float | None,
) -> tuple[Floats, float]:
    model = machine.model
    load = load_at(seed, machine.machine_id, machine.site_id, machine.climate, time_us)
    worn = wear_effect(np.maximum(_severity(episodes, FaultKind.WEAR, time_us), healthy_wear(seed, machine.machine_id)))
    clogged = _severity(episodes, FaultKind.CAVITATION, time_us)
    speed = physics.speed_for_demand(model, load.demand)
    damaged = bearing_effect(_severity(episodes, FaultKind.BEARING_DAMAGE, time_us), speed)

    # where the pump would run without cavitation decides how far it cavitates, and that moves where it runs
    flow = physics.operating_flow_m3h(model, speed, load.friction, worn.head_factor)
    suction = suction_pressure_bar(model, load.tank_bar, flow, clogged)
    boiling = cavitation_effect(intensity(npsh_margin_m(model, suction, flow)))
    head_factor = worn.head_factor * boiling.head_factor
    flow = physics.operating_flow_m3h(model, speed, load.friction, head_factor)
    suction = suction_pressure_bar(model, load.tank_bar, flow, clogged)
    head = physics.head_m(model, flow, speed, head_factor)
    power = physics.shaft_power_kw(
        model, flow, head, physics.efficiency(model, flow, speed, worn.efficiency_factor * boiling.head_factor), speed
    )
    power = power + damaged.friction_share * model.rated_shaft_power_kw

    target_c = load.ambient_c + physics.bearing_rise_k(model, power) + damaged.heat_k
    before = float(target_c[0]) if bearing_c is None else bearing_c
    bearing = first_order_lag(target_c, before, step_s, _BEARING_TIME_CONSTANT_S)
    vibration = physics.vibration_mm_s(model, flow, speed) + worn.vibration_mm_s + boiling.vibration_mm_s
    vibration = vibration + damaged.vibration_mm_s

    # by time, not by number: a run that starts later must not repeat the noise of one before
    noise = [normal(key_of(seed, sensor_id(machine.machine_id, one.name)), time_us) for one in QUANTITIES]
    values = np.empty((len(QUANTITIES), len(time_us)))
    values[Channel.FLOW] = np.maximum(flow + 0.006 * model.rated_flow_m3h * boiling.unrest * noise[Channel.FLOW], 0.0)
    values[Channel.SUCTION_PRESSURE] = suction + 0.006 * boiling.unrest * noise[Channel.SUCTION_PRESSURE]
    values[Channel.DISCHARGE_PRESSURE] = (
        suction
        + head * physics.BAR_PER_METRE
        + 0.004 * model.rated_head_m * physics.BAR_PER_METRE * boiling.unrest * noise[Channel.DISCHARGE_PRESSURE]
    )
    values[Channel.MOTOR_CURRENT] = physics.motor_current_a(model, power) + (
        0.005 * model.rated_current_a * boiling.unrest * noise[Channel.MOTOR_CURRENT]
    )
    values[Channel.BEARING_TEMPERATURE] = bearing + 0.1 * noise[Channel.BEARING_TEMPERATURE]
    values[Channel.VIBRATION] = vibration * np.exp(
        0.06 * np.maximum(damaged.roughness, np.sqrt(boiling.unrest)) * noise[Channel.VIBRATION]
    )
    return values, float(bearing[-1])


def _severity(episodes: Sequence[FaultEpisode], kind: FaultKind, time_us: Ints) -> Floats:
    total = np.zeros(len(time_us))
    for one in episodes:
        if one.kind is kind:
            total += severity_at(_us(one.starts_at), _us(one.ends_at), one.severity, time_us)
    return total


def _distort(
    machine: Machine,
    one: FaultEpisode,
    seed: int,
    time_us: Ints,
    values: Floats,
    held: dict[str, float],
) -> None:
    channel = next(row for row, q in enumerate(QUANTITIES) if sensor_id(machine.machine_id, q.name) == one.sensor_id)
    active = (time_us >= _us(one.starts_at)) & (time_us < _us(one.ends_at))
    values[channel], hold = distort(
        one.kind,
        values[channel],
        severity=severity_at(_us(one.starts_at), _us(one.ends_at), one.severity, time_us),
        active=active,
        span=float(spans(machine.model)[channel]),
        held=held.get(one.fault_id),
        key=key_of_fault(seed, one.fault_id),
        index=time_us,
    )
    if hold is not None:
        held[one.fault_id] = hold


def _us(moment: datetime) -> int:
    return to_microseconds(moment)
