"""Episodes and their plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from ingestion.errors import InvalidInput
from ingestion.sensors.faults import FaultKind, FaultPlan, check_episodes, episode, plan_episodes, severity_at

START = datetime(2026, 3, 1, tzinfo=UTC)
MACHINES = [f"north-pump-{number:02d}" for number in range(1, 13)]
HOUR = timedelta(hours=1)


def test_severity_grows_from_nothing_to_its_height_and_ends_with_the_repair() -> None:
    severity = severity_at(1000, 2000, 0.8, np.array([0, 999, 1000, 1500, 1999, 2000, 9999]))
    np.testing.assert_allclose(severity, [0, 0, 0, 0.4, 0.7992, 0, 0])


def test_the_plan_keeps_the_healthy_time_and_most_of_the_fleet() -> None:
    plan = FaultPlan(rate=1.0, healthy_for=3 * HOUR)
    found = plan_episodes(plan, seed=5, machines=MACHINES, starts_at=START, ends_at=START + 11 * HOUR)
    assert len(found) == 4
    assert len({one.machine_id for one in found}) == 4
    for one in found:
        assert START + 3 * HOUR <= one.starts_at < one.ends_at <= START + 11 * HOUR
        assert plan.shortest <= one.ends_at - one.starts_at <= plan.longest
        assert 0.85 <= one.severity <= 1
    assert {one.kind.is_of_sensor for one in found} == {True, False}


def test_the_same_seed_plans_the_same_and_another_seed_another() -> None:
    def planned(seed: int) -> object:
        return plan_episodes(
            FaultPlan(rate=2.0), seed=seed, machines=MACHINES, starts_at=START, ends_at=START + 24 * HOUR
        )

    assert planned(1) == planned(1)
    assert planned(1) != planned(2)


def test_episodes_of_one_machine_never_overlap_however_many_are_wanted() -> None:
    plan = FaultPlan(rate=50.0)
    found = plan_episodes(plan, seed=2, machines=MACHINES[:3], starts_at=START, ends_at=START + 48 * HOUR)
    assert len(found) > 6
    for machine in MACHINES[:3]:
        mine = [one for one in found if one.machine_id == machine]
        assert all(before.ends_at <= after.starts_at for before, after in pairwise(mine))
    assert len({one.fault_id for one in found}) == len(found)


@pytest.mark.parametrize(
    "plan", [FaultPlan(rate=0), FaultPlan(kinds=()), FaultPlan(rate=9, healthy_for=24 * HOUR)], ids=str
)
def test_nothing_is_planned_where_nothing_is_wanted(plan: FaultPlan) -> None:
    assert plan_episodes(plan, seed=1, machines=MACHINES, starts_at=START, ends_at=START + 24 * HOUR) == ()


def test_only_the_kinds_asked_for_are_planned() -> None:
    plan = FaultPlan(kinds=(FaultKind.WEAR, FaultKind.SENSOR_STUCK), rate=3)
    found = plan_episodes(plan, seed=1, machines=MACHINES, starts_at=START, ends_at=START + 24 * HOUR)
    assert {one.kind for one in found} == {FaultKind.WEAR, FaultKind.SENSOR_STUCK}


def test_a_sensors_fault_needs_a_sensor_and_a_machines_none() -> None:
    with pytest.raises(ValueError, match="needs a sensor_id"):
        episode(machine_id="m", kind=FaultKind.SENSOR_DRIFT, starts_at=START, ends_at=START + HOUR)
    with pytest.raises(ValueError, match="needs no sensor_id"):
        episode(machine_id="m", kind=FaultKind.WEAR, starts_at=START, ends_at=START + HOUR, sensor="m/flow")


def test_faults_of_unknown_places_and_overlapping_ones_are_refused() -> None:
    def at(machine: str, hours: int, sensor: str | None = None) -> object:
        kind = FaultKind.SENSOR_DRIFT if sensor else FaultKind.WEAR
        begin = START + hours * HOUR
        return episode(machine_id=machine, kind=kind, starts_at=begin, ends_at=begin + 2 * HOUR, sensor=sensor)

    check_episodes([at("a", 0), at("a", 2), at("b", 1)], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="unknown machine 'c'; the fleet has a, b"):
        check_episodes([at("c", 0)], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="unknown sensor 'a/flux'; a machine has flow"):
        check_episodes([at("a", 0, "a/flux")], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="overlaps"):
        check_episodes([at("a", 0), at("a", 1)], ["a", "b"])  # type: ignore[list-item]
