"""Topics full of readings: 200 sensors of 20 machines, ten readings a second each, in order, the same for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa

from ingestion.encoding import Encoding
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin, topic_specs
from ingestion.reading import READING_SCHEMA
from ingestion.settings import TopicSettings

SENSORS = 200
PER_MACHINE = 10
STEP_US = 100_000
START_US = 1_760_000_000_000_000
PER_MESSAGE = 500
KEPT = {"retention.bytes": "-1"}
BURST = 20 * PER_MESSAGE
"""Readings that are published at once where a rate is kept: a message of each of 20 machines."""


def fill(
    bootstrap: str, topic: str, readings: int, encoding: Encoding, *, partitions: int = 4, sensors: int = SENSORS
) -> int:
    """Make the topic and publish `readings` and, for each sensor, one an hour later that closes its windows.

    Returns the messages published.
    """
    settings = TopicSettings(readings=topic, dead_letters=f"{topic}-dead-letters", partitions=partitions)
    with TopicAdmin(bootstrap) as topics:
        # a billion readings are more than a topic keeps
        topics.ensure([replace(spec, config={**spec.config, **KEPT}) for spec in topic_specs(settings)])
    with KafkaReadingPublisher(bootstrap, topic) as publisher:
        for batch in batches(readings, sensors):
            publisher.publish(batch, encoding)
        publisher.publish(_closing(readings, sensors), encoding)
        publisher.flush(timedelta(minutes=10))
        return publisher.acknowledged


def batches(readings: int, sensors: int = SENSORS) -> Iterator[pa.RecordBatch]:
    """READING_SCHEMA, 500 readings of each machine a batch; a machine's sensors, ten each, take turns."""
    random = np.random.default_rng(11)
    machine_names = _machines(sensors)
    count = len(machine_names)
    machines = pa.array(np.repeat(machine_names, PER_MESSAGE))
    names = pa.array([f"{machine}/sensor-{s}" for machine in machine_names for s in range(PER_MACHINE)])
    within = np.arange(PER_MESSAGE)
    order = (np.repeat(np.arange(count), PER_MESSAGE) * PER_MACHINE) + np.tile(within % PER_MACHINE, count)
    of_sensor = names.take(pa.array(order))
    rows = count * PER_MESSAGE
    for number in range(readings // rows):
        sequence = number * PER_MESSAGE + within
        event = np.tile(START_US + sequence // PER_MACHINE * STEP_US, count)
        yield _batch(machines, of_sensor, event, random.normal(50, 5, rows), np.tile(sequence, count))


def closing_after(readings: int, sensors: int = SENSORS) -> int:
    """The moment (microseconds) after which no window counts: those of the closing readings stay open."""
    return START_US + readings // sensors * STEP_US + 600_000_000


def _closing(readings: int, sensors: int) -> pa.RecordBatch:
    machines = np.repeat(_machines(sensors), PER_MACHINE)
    names = [f"{machine}/sensor-{place % PER_MACHINE}" for place, machine in enumerate(machines)]
    count = len(machines)
    event = np.full(count, closing_after(readings, sensors) + 3_000_000_000)
    return _batch(pa.array(machines), pa.array(names), event, np.zeros(count), np.full(count, 10**9))


def _machines(sensors: int) -> list[str]:
    return [f"pump-{machine:02d}" for machine in range(sensors // PER_MACHINE)]


def _batch(
    machines: pa.Array, sensors: pa.Array, event: np.ndarray, value: np.ndarray, sequence: np.ndarray
) -> pa.RecordBatch:
    rows = len(event)
    columns = {
        "machine_id": machines,
        "sensor_id": sensors,
        "event_time": pa.array(event, pa.timestamp("us", tz="UTC")),
        "value": pa.array(value),
        "unit": pa.array(["bar"] * rows, pa.string()),
        "sequence": pa.array(sequence, pa.int64()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in READING_SCHEMA.names], schema=READING_SCHEMA)
