"""Clocks that are wrong and sensors that are silent: whose windows they close, and whom they hold back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from ingestion.codec import encode_reading
from ingestion.pipeline import End, Pipeline
from ingestion.reading import Reading
from ingestion.records import Message
from ingestion.settings import StreamSettings
from ingestion.window import TumblingWindow
from tests.contract.streams import MemoryLetters, MemorySink, Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAM = StreamSettings(
    window=TumblingWindow(size=timedelta(seconds=10), allowed_lateness=timedelta(seconds=5)),
    idle_timeout=timedelta(days=1),
)


class Worker:
    """A pipeline on memory. `send` is one reading that the broker takes at its moment, seconds after noon."""

    def __init__(self) -> None:
        self.store = Store()
        self.pipeline = Pipeline(STREAM, MemorySink(self.store), MemoryLetters(self.store), monotonic=lambda: 0.0)
        self.pipeline.assign([0, 1], {0: 0, 1: 0})

    def send(self, moment: float, sensor: str, ahead: timedelta = timedelta(0), partition: int = 0) -> None:
        machine = sensor.split("/")[0]
        taken_at = NOW + timedelta(seconds=moment)
        reading = Reading(machine_id=machine, sensor_id=sensor, event_time=taken_at + ahead, value=1.0)
        offset = self.pipeline.position(partition) or 0
        stamp = round(taken_at.timestamp() * 1000)
        self.pipeline.take(partition, [Message(offset, stamp, machine.encode(), encode_reading(reading))])

    def closed(self) -> Counter[str]:
        """How many windows of each sensor are in the table."""
        self.pipeline.commit()
        return Counter(pa.concat_tables(self.store.windows)["sensor_id"].to_pylist())

    def late(self) -> Counter[str]:
        self.pipeline.commit()
        return Counter(pa.concat_tables(self.store.late)["sensor_id"].to_pylist())

    def refused(self) -> list[str]:
        self.pipeline.commit()
        return [letter.reason for _, _, _, letter in self.store.letters]


def test_a_clock_far_in_the_future_closes_no_window_of_anybody() -> None:
    worker = Worker()
    for second in range(10):
        worker.send(second, "a/flow")
        worker.send(second, "a/vibration", ahead=timedelta(days=1))
        worker.send(second, "b/flow")
    assert worker.refused() == ["future_time"] * 10
    assert not worker.closed()
    for second in range(10, 20):
        worker.send(second, "a/flow")
        worker.send(second, "b/flow")
    assert worker.closed() == {"a/flow": 1, "b/flow": 1}
    assert not worker.late()


def test_a_clock_a_little_in_the_future_closes_its_own_machines_windows_alone() -> None:
    worker = Worker()
    for second in range(26):
        worker.send(second, "a/flow", ahead=timedelta(minutes=4))
        worker.send(second, "a/vibration")
        worker.send(second, "b/flow")
        worker.send(second, "c/flow", partition=1)
    assert not worker.refused()
    # the neighbours, in its partition and elsewhere, are in time
    assert worker.closed()["b/flow"] == worker.closed()["c/flow"] == 2
    assert worker.late().keys() == {"a/vibration"}
    # and of its own machine no reading is lost: what is not in a window is late
    in_windows = sum(
        row["count"] for table in worker.store.windows for row in table.to_pylist() if row["sensor_id"] == "a/vibration"
    )
    assert in_windows + worker.late()["a/vibration"] == 26


def test_a_silent_sensor_and_an_idle_partition_hold_nothing_back() -> None:
    worker = Worker()
    worker.send(0, "a/silent")
    worker.send(0, "c/silent", partition=1)
    for second in range(31):
        worker.send(second, "a/flow")
        worker.send(second, "b/flow")
        worker.pipeline.tend({0: End(10**6, 0.0), 1: End(1, 0.0)})
    # what the silent sensor had sent closes with its machine; a machine that is silent waits for itself alone
    assert worker.closed() == {"a/flow": 2, "a/silent": 1, "b/flow": 2}
    worker.send(31, "c/flow", partition=1)
    assert worker.closed()["c/silent"] == 1
    assert not worker.late()
