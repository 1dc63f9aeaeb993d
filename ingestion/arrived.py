"""Readings on their way through the aggregator, with what has been found out of them, as columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.folding import Column, column_of

Ints = npt.NDArray[np.int64]
_TIMESTAMP = pa.timestamp("us", tz="UTC")


class Arrived:
    """Some readings, in offset order; every array has one element a reading.

    machine, key  their numbers
    closed_until  event time up to which the machine's windows had closed when the reading came
    are_new       whether it is certain that no reading is a repeat, of one before or of another
    """

    def __init__(self, readings: pa.RecordBatch, offsets: Ints) -> None:
        self.readings = readings
        self.offsets = offsets
        self.event_us: Ints = np.asarray(readings.column("event_time").cast(pa.int64()).to_numpy(), np.int64)
        self.machine: Ints = offsets[:0]
        self.key: Ints = offsets[:0]
        self.closed_until: Ints = offsets[:0]
        self.are_new = False
        self._columns: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self.offsets)

    def column(self, name: str) -> Column:
        """One of the readings' columns, made once."""
        if name not in self._columns:
            self._columns[name] = column_of(name, self.readings.column(name))
        return self._columns[name]

    def as_late(self, rows: Ints, start_us: Ints, schema: pa.Schema, topic: str, partition: int) -> pa.Table:
        """Rows of late readings: the readings at these places, each with the start of the window that it missed."""
        if len(rows) == 0:
            return schema.empty_table()
        places = pa.array(rows)
        columns = {
            "window_start": pa.array(start_us, _TIMESTAMP),
            "watermark": pa.array(self.closed_until[rows], _TIMESTAMP),
            "topic": pa.array([topic] * len(rows), pa.string()),
            "partition": pa.array(np.full(len(rows), partition, np.int32)),
            "offset": pa.array(self.offsets[rows]),
        }
        for name in schema.names:
            if name not in columns:
                taken = self.readings.column(name).take(places)
                if not schema.field(name).nullable and taken.null_count:
                    taken = taken.fill_null("")  # a null in a key column is the empty string
                columns[name] = taken
        return pa.table({name: columns[name] for name in schema.names}, schema=schema)
