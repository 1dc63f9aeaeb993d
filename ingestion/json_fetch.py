"""Many JSON messages decoded at once: what all of them hold becomes columns once, not once a message.

The decoders are those of single messages (`ingestion.codec`, `ingestion.json_batches`), given many lines in one call.
Where anything is not as usual, nothing is said but that: whoever asked decodes the messages one by one, and finds which
of them it was and why. A message means the same whichever messages it was fetched with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.codec import UNREADABLE_JSON, columns_of, decode_json_lines
from ingestion.errors import PoisonMessage
from ingestion.json_batches import columns_together
from ingestion.records import Records, by_length, runs

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
    owner = np.arange(len(records))
    if len(breaks) >= len(records):
        of_record = np.searchsorted(breaks, ends)
        owner = np.repeat(owner, np.diff(of_record, prepend=-1))
        within = np.ones(len(breaks), bool)
        within[of_record[:-1]] = False
        breaks_within = breaks[within]
        # no value of JSON goes on from a `}` to a `{`: so laid, every line holds whole objects
        if (lines[breaks_within - 1] != ord(_CLOSE)).any() or (lines[breaks_within + 1] != ord(_OPEN)).any():
            return None
    parts = []
    begin = 0
    for first in range(0, len(breaks) + 1, _LINES_AT_A_TIME):
        count = min(_LINES_AT_A_TIME, len(breaks) + 1 - first)
        stop = int(breaks[first + count - 1]) if first + count <= len(breaks) else len(lines)
        found = columns_of(decode_json_lines(lines[begin:stop].tobytes()))
        if found.num_rows != count:
            return None
        parts.append(found)
        begin = stop + 1
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
        runs(lines, gap)[starts[places]] = np.frombuffer(_LINE + b" " * (gap - 1), np.dtype((np.void, gap)))[0]
    return lines, end - first


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
