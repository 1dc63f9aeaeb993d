"""Many JSON messages decoded at once: what all of them hold becomes columns once, not once a message.

Lines of a whole fetch that are all written alike are read as a table (`ingestion.uniform_lines`). Else the decoders are
those of single messages (`ingestion.codec`, `ingestion.json_batches`), given many lines in one call.
Where anything is not as usual, nothing is said but that: whoever asked decodes the messages one by one, and finds which
of them it was and why. A message means the same whichever messages it was fetched with.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.codec import UNREADABLE_JSON, columns_of, decode_json_lines
from ingestion.errors import PoisonMessage
from ingestion.json_batches import columns_together, form_of
from ingestion.records import Ints, Records, by_length, runs
from ingestion.uniform_lines import columns_of_lines

_OPEN, _CLOSE, _LINE = b"{", b"}", b"\n"
_MOST_GAPS = 64
"""Different distances between neighbouring values up to which they are decoded where they lie."""

_BYTES_AT_A_TIME = 512 * 1024
"""What is decoded in one call: more, and the objects that live until it is made columns leave the processor's cache."""

Bytes = npt.NDArray[np.uint8]


class Decoded(NamedTuple):
    """Readings as in NULLABLE_SCHEMA, their ids dictionary-encoded or not; and the place of each one's record."""

    readings: pa.RecordBatch
    owner: Ints


_Decoder = Callable[[Bytes, Ints, Ints], Decoded | None]


def decode_values(records: Records) -> Decoded | None:
    """The readings of records that are objects, one a line, or objects of columns; None where any may be unsound."""
    if len(records) == 0 or records.value_at.min() < 0 or (records.value_end - records.value_at).min() < len("{}"):
        return None
    held = np.frombuffer(records.data, np.uint8)
    decoders = [_of_json_lines, _of_columns]
    if form_of(records.value(0) or b"") == "columns":
        decoders.reverse()
    elif uniform := _of_lines(held, records.value_at, records.value_end, columns_of_lines):
        return uniform
    parts = []
    owners = []
    sizes = np.cumsum(records.value_end - records.value_at)
    bounds = [0, *(np.flatnonzero(np.diff(sizes // _BYTES_AT_A_TIME)) + 1).tolist(), len(records)]
    for begin, stop in itertools.pairwise(bounds):
        found = _decoded(decoders, held, records.value_at[begin:stop], records.value_end[begin:stop])
        if found is None:
            return None
        parts.append(found.readings)
        owners.append(found.owner + begin)
    return Decoded(parts[0] if len(parts) == 1 else pa.concat_batches(parts), np.concatenate(owners))


def _decoded(decoders: Iterable[_Decoder], held: Bytes, at: Ints, end: Ints) -> Decoded | None:
    """As the first of these decoders reads the values that does."""
    for decode in decoders:
        try:
            found = decode(held, at, end)
        except (PoisonMessage, *UNREADABLE_JSON):
            continue
        if found is not None:
            return found
    return None


def _of_json_lines(held: Bytes, at: Ints, end: Ints) -> Decoded | None:
    return _of_lines(held, at, end, lambda lines: columns_of(decode_json_lines(lines.tobytes())))


def _of_lines(held: Bytes, at: Ints, end: Ints, read: Callable[[Bytes], pa.RecordBatch | None]) -> Decoded | None:
    laid = _lines(held, at, end)
    if laid is None:
        return None
    lines, ends = laid
    breaks = np.flatnonzero(lines == ord(_LINE))
    owner = np.arange(len(at))
    if len(breaks) >= len(at):
        of_record = np.searchsorted(breaks, ends)
        owner = np.repeat(owner, np.diff(of_record, prepend=-1))
        within = np.delete(breaks, of_record[:-1])
        # no value of JSON goes on from a `}` to a `{`: so laid, every line holds whole objects
        if (lines[within - 1] != ord(_CLOSE)).any() or (lines[within + 1] != ord(_OPEN)).any():
            return None
    readings = read(lines)
    return Decoded(readings, owner) if readings is not None and readings.num_rows == len(breaks) + 1 else None


def _lines(held: Bytes, at: Ints, end: Ints) -> tuple[Bytes, Ints] | None:
    """The values line by line, and where in that each one ends.

    They stay as they lie in the records' bytes; what is between two of them is made the end of a line.
    """
    end = end - (held[end - 1] == ord(_LINE))
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


def _of_columns(held: Bytes, at: Ints, end: Ints) -> Decoded:
    values = [held[a:e].tobytes() for a, e in zip(at.tolist(), end.tolist(), strict=True)]
    readings, counts = columns_together(values)
    return Decoded(readings, np.repeat(np.arange(len(at)), counts))
