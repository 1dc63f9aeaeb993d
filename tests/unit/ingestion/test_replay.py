"""Playing a recording to a publisher that keeps what it is given."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ingestion.encoding import Encoding
from ingestion.pacing import Pace
from ingestion.reading import READING_SCHEMA, Reading, to_record_batch
from ingestion.recording import Recording
from ingestion.replay import ReplaySpec, play

START = datetime(2026, 3, 1, tzinfo=UTC)


class Kept:
    """A publisher in memory, with the wall-clock time of each batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, pa.RecordBatch]] = []
        self.flushed = 0

    def publish(self, batch: pa.RecordBatch, encoding: Encoding) -> None:
        self.batches.append((time.monotonic(), batch))

    def flush(self, timeout: timedelta) -> None:
        self.flushed += 1

    @property
    def table(self) -> pa.Table:
        return pa.Table.from_batches([batch for _, batch in self.batches], schema=READING_SCHEMA)


def recording(*seconds: float, machines: int = 1) -> Recording:
    readings = [
        Reading(machine_id=f"m{number % machines}", sensor_id="s", event_time=START + timedelta(seconds=at), value=at)
        for number, at in enumerate(seconds)
    ]
    return Recording(readings=pa.Table.from_batches([to_record_batch(readings)]), empty=0)


def test_all_readings_leave_in_order_and_are_flushed() -> None:
    kept, all_of_it = Kept(), recording(*range(2000), machines=2)
    report = play(all_of_it, ReplaySpec(readings_a_message=300), kept, stop=threading.Event())
    assert kept.table.equals(all_of_it.readings)
    assert (report.readings, report.messages) == (2000, 14)
    assert report.reached == START + timedelta(seconds=1999)
    assert kept.flushed == 1


def test_json_counts_a_message_a_reading() -> None:
    report = play(recording(0, 1, 2), ReplaySpec(encoding="json"), Kept(), stop=threading.Event())
    assert report.messages == 3


def test_the_speed_is_kept() -> None:
    kept = Kept()
    began = time.monotonic()
    play(recording(*range(11)), ReplaySpec(pace=Pace(speed=10)), kept, stop=threading.Event())
    assert 0.8 < time.monotonic() - began < 9
    assert len(kept.batches) > 1


def test_long_gaps_are_cut_and_short_ones_kept() -> None:
    spec = ReplaySpec(pace=Pace(speed=10), longest_pause=timedelta(seconds=5))
    began = time.monotonic()
    play(recording(0, 86_400, 86_403), spec, Kept(), stop=threading.Event())
    assert 0.6 < time.monotonic() - began < 100


def test_a_stop_ends_a_slow_replay_and_flushes_what_left() -> None:
    stop, kept = threading.Event(), Kept()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    report = play(recording(0, 60, 120), ReplaySpec(pace=Pace(speed=1)), kept, stop=stop)
    timer.join()
    assert report.is_stopped
    assert report.readings < 3
    assert kept.flushed == 1


@pytest.mark.parametrize("encoding", ["json", "arrow"])
def test_a_recording_without_readings_is_no_error(encoding: Encoding) -> None:
    empty = Recording(readings=READING_SCHEMA.empty_table(), empty=3)
    assert play(empty, ReplaySpec(encoding=encoding), Kept(), stop=threading.Event()).readings == 0
