"""One measured value of one sensor at one event time, and many of them as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

READING_SCHEMA = pa.schema(
    [
        pa.field("machine_id", pa.string(), nullable=False),
        pa.field("sensor_id", pa.string(), nullable=False),
        pa.field("event_time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("unit", pa.string()),
        pa.field("sequence", pa.int64()),
    ]
)
"""Columns of a batch of readings: the in-memory form, and the batch encoding on the wire (Arrow IPC stream)."""

REQUIRED = tuple(field.name for field in READING_SCHEMA if not field.nullable)
"""What every reading has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One value. `event_time` is when the sensor measured it (UTC), not when anybody received it.

    machine_id  the machine that the sensor sits on; the Kafka key, so that a machine's readings stay in order
    sensor_id   unique over all machines, by convention `<machine_id>/<quantity>`
    value       in `unit`; never NaN or infinite
    unit        as written on the sensor (`m3/h`, `bar`, `A`, `degC`, `mm/s`), or None where the sender does not say
    sequence    the sensor's own counter, or None; a repeated (sensor_id, event_time, sequence) is the same reading
    """

    machine_id: str
    sensor_id: str
    event_time: datetime
    value: float
    unit: str | None = None
    sequence: int | None = None

    def __post_init__(self) -> None:
        if self.event_time.utcoffset() is None:
            raise ValueError("event_time needs a time zone; give UTC")


def to_record_batch(readings: Iterable[Reading]) -> pa.RecordBatch:
    """Columns of the given readings, in their order, in READING_SCHEMA."""
    rows = list(readings)
    return pa.RecordBatch.from_pydict(
        {
            "machine_id": [r.machine_id for r in rows],
            "sensor_id": [r.sensor_id for r in rows],
            "event_time": [r.event_time.astimezone(UTC) for r in rows],
            "value": [r.value for r in rows],
            "unit": [r.unit for r in rows],
            "sequence": [r.sequence for r in rows],
        },
        schema=READING_SCHEMA,
    )


def by_machine(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each machine in their order; machines in order of their first row."""
    machines = batch.column("machine_id").dictionary_encode()
    codes = machines.indices.to_numpy()
    if len(machines.dictionary) > 1 and (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        batch, codes = batch.take(pa.array(order)), codes[order]
    ends = np.searchsorted(codes, np.arange(len(machines.dictionary)), side="right")
    begin = 0
    for machine_id, end in zip(machines.dictionary.to_pylist(), ends.tolist(), strict=True):
        yield machine_id, batch.slice(begin, end - begin)
        begin = end
