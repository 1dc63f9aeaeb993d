"""Recorded readings as the messages that their sensors would have sent, in order of event time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.backfill.reads import EventRange, Read
from ingestion.codec import EPOCH, encode_batch
from ingestion.reading import by_machine
from ingestion.recording import Recording
from ingestion.records import Message, Record

TOPIC = "recording"
"""In place of a topic in the rows of windows made from recorded files."""

NOWHERE = -1
"""In place of their partition and offsets: recorded files have none."""

_ROWS = 20_000
_ROWS_A_MESSAGE = 600


def read_of(recording: Recording, span: EventRange, *, reach: timedelta = timedelta(0)) -> Read:
    """The readings from `span.since` less `reach` on, as messages of partition 0, each at its last event time."""
    table = recording.readings.combine_chunks()
    times_us = np.asarray(table["event_time"].cast(pa.int64()).to_numpy())
    first = int(np.searchsorted(times_us, (span.since - reach - EPOCH) // timedelta(microseconds=1)))
    needed = table.slice(first)
    return Read(
        partition=0,
        begin=0,
        end=needed.num_rows,
        identical_from=span.since,
        messages=lambda: _messages(needed),
    )


def _messages(readings: pa.Table) -> Iterator[Sequence[Record]]:
    """A message's offset is the number of readings before it."""
    offset = 0
    for batch in readings.to_batches(max_chunksize=_ROWS):
        messages = []
        for machine, rows in by_machine(batch):
            for begin in range(0, rows.num_rows, _ROWS_A_MESSAGE):
                part = rows.slice(begin, _ROWS_A_MESSAGE)
                newest = pc.max(part.column("event_time")).cast(pa.int64()).as_py()
                messages.append(Message(offset, -(-newest // 1000), machine.encode(), encode_batch(part)))
                offset += part.num_rows
        yield messages
