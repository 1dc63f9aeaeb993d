"""Readings on their way through the aggregator, with what has been found out of them, as columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.window import LATE_SCHEMA

Ints = npt.NDArray[np.int64]
_TIMESTAMP = pa.timestamp("us", tz="UTC")


class Arrived(NamedTuple):
    """One element a reading in every column, in offset order.

    machine, sensor  numbers that the aggregator gave them
    window           number of the window that the event time lies in
    closed_until     event time up to which the machine's windows had closed when the reading came
    """

    readings: pa.RecordBatch
    machine: Ints
    sensor: Ints
    event_us: Ints
    window: Ints
    offsets: Ints
    closed_until: Ints

    def at(self, chosen: npt.NDArray[np.bool_]) -> Arrived:
        """The chosen ones."""
        if chosen.all():
            return self
        places = np.flatnonzero(chosen)
        return Arrived(self.readings.take(pa.array(places)), *(column[places] for column in self[1:]))

    def as_late(self, topic: str, partition: int, size_us: int) -> pa.Table:
        """Rows of `late_readings` (LATE_SCHEMA)."""
        count = len(self.offsets)
        if count == 0:
            return LATE_SCHEMA.empty_table()
        columns = {name: self.readings.column(name) for name in self.readings.schema.names}
        columns["window_start"] = pa.array(self.window * size_us, _TIMESTAMP)
        columns["watermark"] = pa.array(self.closed_until, _TIMESTAMP)
        columns["topic"] = pa.array([topic] * count, pa.string())
        columns["partition"] = pa.array(np.full(count, partition, np.int32))
        columns["offset"] = pa.array(self.offsets)
        return pa.table({name: columns[name] for name in LATE_SCHEMA.names}, schema=LATE_SCHEMA)
