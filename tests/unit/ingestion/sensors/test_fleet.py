"""The fleet: which machines there are, and their readings in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ingestion.errors import InvalidInput
from ingestion.reading import READING_SCHEMA
from ingestion.sensors.faults import FaultPlan
from ingestion.sensors.fleet import Fleet, FleetSpec, episodes_of, machines_of
from ingestion.sensors.quantity import QUANTITIES

START = datetime(2026, 3, 1, tzinfo=UTC)


def table(fleet: Fleet, length: timedelta, until: timedelta) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    for piece in fleet.slices(length):
        batches += piece.batches
        if piece.end >= fleet.starts_at + until:
            break
    return pa.Table.from_batches(batches, schema=READING_SCHEMA)


def test_the_default_fleet_is_twelve_pumps_at_three_sites() -> None:
    names = [machine.machine_id for machine in machines_of(FleetSpec())]
    assert names == [f"{site}-pump-{number:02d}" for site in ("north", "harbour", "hill") for number in range(1, 5)]


def test_pumps_that_do_not_divide_evenly_are_dealt_out_and_few_pumps_use_few_sites() -> None:
    by_site = [machine.site_id for machine in machines_of(FleetSpec(machines=7, sites=3))]
    assert by_site == ["north"] * 3 + ["harbour"] * 2 + ["hill"] * 2
    assert [machine.site_id for machine in machines_of(FleetSpec(machines=2, sites=3))] == ["north", "harbour"]


@pytest.mark.parametrize("wrong", [{"machines": 0}, {"machines": 10**6}, {"sites": 0}, {"sites": 99}], ids=str)
def test_impossible_fleets_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="asked for"):
        FleetSpec(**wrong)  # type: ignore[arg-type]


def test_each_sensor_reads_once_an_interval_with_its_unit_and_counts_from_zero() -> None:
    spec = FleetSpec(machines=3, sites=2, interval=timedelta(seconds=2))
    found = table(Fleet(spec, starts_at=START), timedelta(seconds=60), timedelta(seconds=60))
    assert found.schema == READING_SCHEMA
    assert found.num_rows == 3 * 6 * 30
    units = {f"{machine.machine_id}/{one.name}": one.unit for machine in machines_of(spec) for one in QUANTITIES}
    for sensor_id, unit in units.items():
        mine = found.filter(pc.equal(found.column("sensor_id"), sensor_id))
        assert mine.column("unit").unique().to_pylist() == [unit]
        assert mine.column("sequence").to_pylist() == list(range(30))
        steps = pc.pairwise_diff(mine.column("event_time").combine_chunks()).drop_null().unique().to_pylist()
        assert steps == [timedelta(seconds=2)]
        assert START <= mine.column("event_time")[0].as_py() < START + timedelta(seconds=2)


def test_a_slice_in_event_time_is_ordered_over_all_machines_and_loses_nothing() -> None:
    piece = next(Fleet(FleetSpec(), starts_at=START).slices(timedelta(seconds=30)))
    ordered = piece.in_event_time()
    times = ordered.column("event_time").to_pylist()
    assert times == sorted(times)
    assert ordered.num_rows == piece.readings == 12 * 6 * 30
    assert len(set(ordered.column("machine_id").slice(0, 72).to_pylist())) == 12


def test_a_slice_shorter_than_the_interval_may_be_empty_and_is_still_ordered() -> None:
    spec = FleetSpec(machines=1, sites=1, interval=timedelta(minutes=1))
    pieces = Fleet(spec, starts_at=START).slices(timedelta(seconds=1))
    first = [next(pieces) for _ in range(60)]
    assert sum(piece.readings for piece in first) == 6
    empty = next(piece for piece in first if piece.readings == 0)
    assert empty.in_event_time().num_rows == 0


def test_a_later_start_sees_the_same_plant_without_repeating_its_noise() -> None:
    """Flow has no memory: what a run that starts an hour later reads is what the first one read by then."""
    spec, hour = FleetSpec(machines=2, sites=1), timedelta(hours=1)
    long = table(Fleet(spec, starts_at=START), hour, 2 * hour)
    late = table(Fleet(spec, starts_at=START + hour), hour, hour)

    def flow(found: pa.Table) -> pa.ChunkedArray:
        return found.filter(pc.equal(found.column("sensor_id"), "north-pump-01/flow")).column("value")

    assert flow(late).to_pylist() == flow(long).to_pylist()[3600:]
    assert flow(long).to_pylist()[:3600] != flow(late).to_pylist()


def test_faults_do_not_touch_the_readings_of_other_machines() -> None:
    hours = timedelta(hours=2)
    spec = FleetSpec(faults=FaultPlan(rate=1))
    faults = episodes_of(spec, starts_at=START, ends_at=START + hours)
    assert faults
    ill = table(Fleet(spec, starts_at=START, episodes=faults), hours, hours)
    well = table(Fleet(spec, starts_at=START), hours, hours)
    hit = {one.machine_id for one in faults}
    for machine in machines_of(spec):
        mine = pc.equal(ill.column("machine_id"), machine.machine_id)
        theirs = pc.equal(well.column("machine_id"), machine.machine_id)
        same = ill.filter(mine).equals(well.filter(theirs))
        assert same == (machine.machine_id not in hit)
