"""Playing a fleet to a publisher that keeps what it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ingestion.encoding import Encoding
from ingestion.errors import PoisonMessage, TryAgain
from ingestion.json_batches import decode
from ingestion.pacing import Pace
from ingestion.sensors.delivery import DeliveryShares
from ingestion.sensors.faults import FaultEpisode, FaultPlan
from ingestion.sensors.fleet import Fleet, FleetSpec, episodes_of
from ingestion.sensors.simulation import SimulationReport, SimulationSpec, play

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Kept:
    """A publisher in memory: what it was given, in order."""

    def __init__(self) -> None:
        self.batches: list[tuple[pa.RecordBatch, Encoding]] = []
        self.raw: list[tuple[bytes | None, bytes]] = []
        self.flushed = 0

    def publish(self, batch: pa.RecordBatch, encoding: Encoding) -> None:
        self.batches.append((batch, encoding))

    def publish_raw(self, key: bytes | None, value: bytes) -> None:
        self.raw.append((key, value))

    def flush(self, timeout: timedelta) -> None:
        self.flushed += 1

    @property
    def rows(self) -> int:
        return sum(batch.num_rows for batch, _ in self.batches)


def run(
    spec: SimulationSpec, fleet: Fleet | None = None, kept: Kept | None = None, told: list[FaultEpisode] | None = None
) -> tuple[SimulationReport, Kept]:
    kept = kept or Kept()
    truth: list[FaultEpisode] = [] if told is None else told
    fleet = fleet or Fleet(FleetSpec(machines=3), starts_at=START)
    return play(fleet, spec, kept, tell_truth=truth.extend, stop=threading.Event()), kept


def test_everything_up_to_the_end_is_published_and_flushed() -> None:
    report, kept = run(SimulationSpec(until=START + 5 * MINUTE))
    assert report.readings == kept.rows == 3 * 6 * 300
    assert report.messages == len(kept.batches)
    assert {encoding for _, encoding in kept.batches} == {"arrow"}
    assert max(batch.num_rows for batch, _ in kept.batches) <= 600
    assert kept.flushed == 1
    assert report.reached == START + 5 * MINUTE


def test_json_is_one_message_a_reading_in_order_of_event_time() -> None:
    report, kept = run(SimulationSpec(until=START + MINUTE, encoding="json"))
    assert report.messages == report.readings == kept.rows
    times = [time for batch, _ in kept.batches for time in batch.column("event_time").to_pylist()]
    assert times == sorted(times)


@pytest.mark.parametrize("encoding", ["json", "arrow"])
def test_delivery_faults_reach_the_publisher_as_bytes_and_are_reported(encoding: Encoding) -> None:
    fleet = Fleet(FleetSpec(machines=2, sites=1), starts_at=START)
    shares = DeliveryShares(late=0.02, out_of_order=0.02, duplicated=0.02, dropped=0.02, corrupt=0.02)
    spec = SimulationSpec(until=START + 5 * MINUTE, encoding=encoding, readings_a_message=6, delivery=shares)
    report, kept = run(spec, fleet)
    assert not kept.batches
    assert report.messages == len(kept.raw)
    total = report.readings if encoding == "json" else 600
    assert report.messages == total + report.delivery["duplicated"] - report.delivery["dropped"]
    assert report.lost_readings == (report.delivery["dropped"] + report.delivery["corrupt"]) * (
        1 if encoding == "json" else 6
    )
    poisoned = 0
    for _, value in kept.raw:
        try:
            poisoned += decode(value).column("event_time")[0].as_py().year != 2026
        except PoisonMessage:
            poisoned += 1
    assert poisoned == report.delivery["corrupt"]


def test_the_truth_is_told_before_the_first_reading_of_a_fault_leaves() -> None:
    spec = FleetSpec(machines=6, faults=FaultPlan(rate=20))
    end = START + timedelta(hours=8)
    episodes = episodes_of(spec, starts_at=START, ends_at=end)
    told: list[FaultEpisode] = []

    class Checking(Kept):
        def publish(self, batch: pa.RecordBatch, encoding: Encoding) -> None:
            last = batch.column("event_time")[-1].as_py()
            assert {one.fault_id for one in episodes if one.starts_at <= last} <= {one.fault_id for one in told}
            super().publish(batch, encoding)

    run(SimulationSpec(until=end), Fleet(spec, starts_at=START, episodes=episodes), Checking(), told)
    assert told == list(episodes)


def test_if_the_truth_cannot_be_told_nothing_is_published() -> None:
    spec = FleetSpec(machines=3, faults=FaultPlan(rate=20))
    episodes = episodes_of(spec, starts_at=START, ends_at=START + timedelta(hours=1))
    kept = Kept()

    def away(_: Sequence[FaultEpisode]) -> None:
        raise TryAgain("the lake is away")

    with pytest.raises(TryAgain, match="the lake is away"):
        play(
            Fleet(spec, starts_at=START, episodes=episodes),
            SimulationSpec(until=START + timedelta(hours=1)),
            kept,
            tell_truth=away,
            stop=threading.Event(),
        )
    assert kept.rows == 0


def test_a_stop_ends_an_endless_play_and_flushes() -> None:
    stop, kept = threading.Event(), Kept()
    fleet = Fleet(FleetSpec(machines=3), starts_at=datetime.now(UTC))
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    report = play(fleet, SimulationSpec(until=None), kept, tell_truth=lambda _: None, stop=stop)
    timer.join()
    assert report.is_stopped
    assert kept.flushed == 1


def test_who_starts_in_the_past_catches_up_and_then_keeps_to_the_clock() -> None:
    begin = datetime.now(UTC) - timedelta(seconds=90)
    kept = Kept()
    latest = timedelta(0)

    class Watching(Kept):
        def publish(self, batch: pa.RecordBatch, encoding: Encoding) -> None:
            nonlocal latest
            latest = max(latest, batch.column("event_time")[-1].as_py() - datetime.now(UTC))
            super().publish(batch, encoding)

    kept = Watching()
    fleet = Fleet(FleetSpec(machines=2, sites=1), starts_at=begin)
    run(SimulationSpec(until=begin + timedelta(seconds=92)), fleet, kept)
    assert datetime.now(UTC) > begin + timedelta(seconds=91)
    assert kept.rows == 92 * 12
    assert latest <= timedelta(0), "no reading leaves before its time"


def test_a_rate_holds_the_publisher_back() -> None:
    began = time.monotonic()
    report, _ = run(SimulationSpec(until=START + MINUTE, pace=Pace(rate=1000)))
    assert report.readings == 1080
    assert time.monotonic() - began > 0.5
