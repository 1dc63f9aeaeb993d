"""What goes wrong, where and when: the ground truth, and a seeded plan of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from ingestion.errors import InvalidInput
from ingestion.sensors.noise import Floats, Ints, key_of, uniform
from ingestion.sensors.quantity import QUANTITIES, sensor_id


class FaultKind(StrEnum):
    """Faults of the machine, then of its sensors."""

    BEARING_DAMAGE = "bearing_damage"
    CAVITATION = "cavitation"
    WEAR = "wear"
    SENSOR_DRIFT = "sensor_drift"
    SENSOR_STUCK = "sensor_stuck"
    SENSOR_SPIKE = "sensor_spike"
    SENSOR_DROPOUT = "sensor_dropout"
    SENSOR_NOISE = "sensor_noise"

    @property
    def is_of_sensor(self) -> bool:
        return self.value.startswith("sensor_")


MACHINE_FAULTS = tuple(kind for kind in FaultKind if not kind.is_of_sensor)
SENSOR_FAULTS = tuple(kind for kind in FaultKind if kind.is_of_sensor)


_SHORTEST_SPAN = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultEpisode:
    """One fault from its first trace to its repair.

    sensor_id         the sensor at fault, or None where the machine is
    starts_at         severity is 0 and begins to grow
    ends_at           severity has reached `severity`; then the fault is repaired
    severity          0 to 1, where 1 is just before failure
    """

    fault_id: str
    machine_id: str
    kind: FaultKind
    sensor_id: str | None
    starts_at: datetime
    ends_at: datetime
    severity: float

    def __post_init__(self) -> None:
        if self.starts_at.utcoffset() is None or self.ends_at.utcoffset() is None:
            raise ValueError("starts_at and ends_at need a time zone; give UTC")
        if self.starts_at >= self.ends_at:
            raise ValueError(f"starts_at {self.starts_at} must be before ends_at {self.ends_at}")
        if not 0 < self.severity <= 1:
            raise ValueError(f"severity must be above 0 and at most 1, not {self.severity}")
        if self.kind.is_of_sensor != (self.sensor_id is not None):
            raise ValueError(f"{self.kind} needs {'a' if self.kind.is_of_sensor else 'no'} sensor_id")


def episode(
    *,
    machine_id: str,
    kind: FaultKind,
    starts_at: datetime,
    ends_at: datetime,
    severity: float = 1.0,
    sensor: str | None = None,
) -> FaultEpisode:
    """An episode with the id that its place and time give it, so that planning it again is the same fault."""
    where = sensor or machine_id
    return FaultEpisode(
        fault_id=f"{where}/{kind}/{starts_at.strftime('%Y%m%dT%H%M%S.%fZ')}",
        machine_id=machine_id,
        kind=kind,
        sensor_id=sensor,
        starts_at=starts_at,
        ends_at=ends_at,
        severity=severity,
    )


def severity_at(start_us: int, end_us: int, severity: float, time_us: Ints) -> Floats:
    """0 before the episode, a straight ramp to `severity` at its end, 0 from its end on (repaired)."""
    share = (time_us - start_us) / (end_us - start_us)
    result: Floats = np.where((share >= 0.0) & (share < 1.0), severity * share, 0.0)
    return result


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultPlan:
    """How often what goes wrong.

    kinds             what may happen; empty is a fleet without faults
    rate              faults per machine and day, on average over the fleet; at least one where it is above 0 and
                      there are ten minutes or more to plan for
    healthy_for       nothing goes wrong for this long after the start: time to learn what is normal
    shortest, longest length of an episode; shorter where the time planned for is too short
    """

    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    rate: float = 0.5
    healthy_for: timedelta = timedelta(0)
    shortest: timedelta = timedelta(minutes=60)
    longest: timedelta = timedelta(hours=3)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must not be negative, not {self.rate}")
        if not timedelta(0) < self.shortest <= self.longest:
            raise ValueError("shortest must be positive and at most longest")


def plan_episodes(
    plan: FaultPlan, *, seed: int, machines: Sequence[str], starts_at: datetime, ends_at: datetime
) -> tuple[FaultEpisode, ...]:
    """Episodes over the given time, in order of start: machines in a seeded order, kinds in turn, machine faults first.

    Two episodes of one machine never overlap. At most half of the fleet's time is planned for faults.
    """
    begin = starts_at + plan.healthy_for
    span = ends_at - begin
    if not plan.kinds or plan.rate == 0 or not machines or span < _SHORTEST_SPAN:
        return ()
    wanted = max(1, round(plan.rate * len(machines) * (span / timedelta(days=1))))
    longest = min(plan.longest, span * 0.8)
    shortest = min(plan.shortest, longest)
    # each machine's time is cut into lanes that hold one episode each, so that none overlap
    rounds = max(1, min(-(-wanted // len(machines)), int(span / (2 * longest)) or 1))
    wanted = min(wanted, rounds * len(machines))
    draws = uniform(key_of(seed, "faults"), np.arange(8 * wanted + len(machines), dtype=np.int64))
    order = np.argsort(draws[: len(machines)], kind="stable")
    kinds = _in_turn(plan.kinds)
    episodes = []
    for number in range(wanted):
        machine_id = machines[int(order[number % len(machines)])]
        length_draw, start_draw, severity_draw, sensor_draw = draws[len(machines) + 8 * number :][:4]
        lane = span / rounds
        length = min(shortest + (longest - shortest) * float(length_draw), lane * 0.95)
        start = begin + lane * (number // len(machines)) + (lane - length) * float(start_draw)
        start, length = start.replace(microsecond=0), timedelta(seconds=int(length.total_seconds()))
        kind = kinds[number % len(kinds)]
        quantity = QUANTITIES[int(sensor_draw * len(QUANTITIES))].name
        episodes.append(
            episode(
                machine_id=machine_id,
                kind=kind,
                starts_at=start,
                ends_at=start + length,
                severity=round(0.85 + 0.15 * float(severity_draw), 3),
                sensor=sensor_id(machine_id, quantity) if kind.is_of_sensor else None,
            )
        )
    return tuple(sorted(episodes, key=lambda one: (one.starts_at, one.fault_id)))


def check_episodes(episodes: Sequence[FaultEpisode], machines: Sequence[str]) -> None:
    """Raises InvalidInput for an episode of an unknown machine or sensor, or one that overlaps its like."""
    known = set(machines)
    sensors = {sensor_id(machine, quantity.name) for machine in machines for quantity in QUANTITIES}
    last: dict[tuple[str, str], FaultEpisode] = {}
    for one in sorted(episodes, key=lambda found: found.starts_at):
        if one.machine_id not in known:
            raise InvalidInput(f"fault of unknown machine {one.machine_id!r}; the fleet has {', '.join(machines)}")
        if one.sensor_id is not None and one.sensor_id not in sensors:
            quantities = ", ".join(quantity.name for quantity in QUANTITIES)
            raise InvalidInput(f"fault of unknown sensor {one.sensor_id!r}; a machine has {quantities}")
        where = (one.sensor_id or one.machine_id, one.kind)
        before = last.get(where)
        if before is not None and before.ends_at > one.starts_at:
            raise InvalidInput(f"fault {one.fault_id} overlaps {before.fault_id}; end one before the other starts")
        last[where] = one


def _in_turn(kinds: Sequence[FaultKind]) -> list[FaultKind]:
    """Three machine faults, then one of a sensor, and so on, as far as there are both."""
    machine = [kind for kind in kinds if not kind.is_of_sensor]
    sensor = [kind for kind in kinds if kind.is_of_sensor]
    if not machine or not sensor:
        return list(kinds)
    turns: list[FaultKind] = []
    for number in range(len(machine) * len(sensor)):
        turns += [machine[(3 * number + offset) % len(machine)] for offset in range(3)]
        turns.append(sensor[number % len(sensor)])
    return turns
