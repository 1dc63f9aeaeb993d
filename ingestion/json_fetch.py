"""Many JSON messages decoded at once: what all of them hold becomes columns once, not once a message.

The decoders are those of single messages (`ingestion.codec`, `ingestion.json_batches`), given many lines in one call.
Where anything is not as usual, nothing is said but that: whoever asked decodes the messages one by one, and finds which
of them it was and why. A message means the same whichever messages it was fetched with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.arrow_columns import NULLABLE_SCHEMA
from ingestion.codec import UNREADABLE_JSON, Int64, JsonReading
from ingestion.errors import PoisonMessage
from ingestion.json_batches import columns_together
from ingestion.records import Records, by_length, runs
from ingestion.written_times import times_of

_OPEN, _CLOSE, _LINE = b"{", b"}", b"\n"
_MOST_GAPS = 64
"""Different distances between neighbouring values up to which they are decoded where they lie."""

_LINES_AT_A_TIME = 4096
_BYTES_AT_A_TIME = 512 * 1024
"""What is decoded in one call: more, and the objects that live until it is made columns leave the processor's cache."""


class Decoded(NamedTuple):
    """Readings, and the place of each one's record."""

    readings: pa.RecordBatch
    owner: npt.NDArray[np.int64]


class _Line(msgspec.Struct, gc=False):
    """A JsonReading whose time is still text, which Arrow reads several times faster than datetimes are made."""

    machine_id: str
    sensor_id: str
    event_time: str
    value: float
    unit: str | None = None
    sequence: Int64 | None = None


_line = msgspec.json.Decoder(_Line)
_reading = msgspec.json.Decoder(JsonReading)


def decode_values(records: Records) -> Decoded | None:
    """The readings of records that are objects, one a line, or objects of columns; None where any may be unsound."""
    if len(records) == 0 or records.value_at.min() < 0 or (records.value_end - records.value_at).min() < len("{}"):
        return None
    for decode in (_of_lines, _of_columns):
        try:
            found = decode(records)
        except (PoisonMessage, *UNREADABLE_JSON):
            continue
        if found is not None:
            return found
    return None


def _of_lines(records: Records) -> Decoded | None:
    laid = _lines(records)
    if laid is None:
        return None
    lines, ends = laid
    breaks = np.flatnonzero(lines == ord(_LINE))
    # no value of JSON goes on from a `}` to a `{`: so laid, every line holds whole objects
    if (lines[breaks - 1] != ord(_CLOSE)).any() or (lines[breaks + 1] != ord(_OPEN)).any():
        return None
    parts = []
    begin = 0
    for first in range(0, len(breaks) + 1, _LINES_AT_A_TIME):
        count = min(_LINES_AT_A_TIME, len(breaks) + 1 - first)
        stop = int(breaks[first + count - 1]) if first + count <= len(breaks) else len(lines)
        found = _decoded(lines[begin:stop].tobytes(), count)
        if found is None:
            return None
        parts.append(found)
        begin = stop + 1
    owner = np.arange(len(breaks) + 1)
    if len(owner) > len(records):
        # a record's last line is ended by the first break behind it
        of_record = np.searchsorted(breaks, ends, side="left")
        owner = np.repeat(np.arange(len(records)), np.diff(of_record, prepend=-1))
    return Decoded(_joined(parts), owner)


def _lines(records: Records) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None:
    """The values line by line, and where in that each one ends.

    They stay as they lie in the records' bytes; what is between two of them is made the end of a line.
    """
    held = np.frombuffer(records.data, np.uint8)
    at = records.value_at
    end = records.value_end - (held[records.value_end - 1] == ord(_LINE))
    if (held[at] != ord(_OPEN)).any() or (held[end - 1] != ord(_CLOSE)).any():
        return None
    first, last = int(at[0]), int(end[-1])
    gaps = at[1:] - end[:-1]
    lines = held[first:last].copy()
    starts = end[:-1] - first
    for number, (gap, places) in enumerate(by_length(gaps)):
        if gap <= 0 or number == _MOST_GAPS:
            return None
        runs(lines, gap)[starts[places]] = np.frombuffer(b" " * (gap - 1) + _LINE, np.dtype((np.void, gap)))[0]
    return lines, end - first


def _decoded(lines: bytes, count: int) -> pa.RecordBatch | None:
    """So many lines of whole objects as readings; None where a line holds more than one. Raises UNREADABLE_JSON."""
    if not lines.isascii():
        lines.decode()
    rows = _line.decode_lines(lines)
    if len(rows) != count:
        return None
    if lines.count(b'"event_time"') != count or b"\\" in lines:
        # of a time that is written twice, perhaps with its name escaped, the first has been passed over unread
        _reading.decode_lines(lines)
    columns = {
        "machine_id": _texts([row.machine_id for row in rows]),
        "sensor_id": _texts([row.sensor_id for row in rows]),
        "event_time": times_of([row.event_time for row in rows]),
        "value": pa.array([row.value for row in rows], pa.float64()),
        "unit": _texts([row.unit for row in rows]),
        "sequence": pa.array([row.sequence for row in rows], pa.int64()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in NULLABLE_SCHEMA.names], schema=NULLABLE_SCHEMA)


def _texts(texts: Sequence[str | None]) -> Any:
    """Most columns of texts say the same in every row, which is seen sooner than they are copied."""
    first = texts[0]
    if first == texts[-1] and texts.count(first) == len(texts):
        return pa.repeat(pa.scalar(first, pa.string()), len(texts))
    return pa.array(texts, pa.string())


def _of_columns(records: Records) -> Decoded:
    sizes = np.cumsum(records.value_end - records.value_at) // _BYTES_AT_A_TIME
    parts = []
    counts: list[int] = []
    for places in np.split(np.arange(len(records)), np.flatnonzero(np.diff(sizes)) + 1):
        found, rows = columns_together([records.value(place) or b"" for place in places.tolist()])
        parts.append(found)
        counts += rows
    return Decoded(_joined(parts), np.repeat(np.arange(len(records)), counts))


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)
