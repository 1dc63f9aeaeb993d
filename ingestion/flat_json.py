"""Many small JSON readings in one call, by Arrow's reader, which makes columns at once and no Python object.

A message is one object, or some, one a line. It takes only what it reads exactly as the decoder of single objects does
(`ingestion.codec.decode_json`): flat objects of plain ASCII without escapes, each on a line of its own, with times in
the usual form. Whatever is not so is left to that decoder, since a message must mean the same whichever messages it was
fetched with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ingestion.reading import READING_SCHEMA
from ingestion.records import Records, by_length, runs

_FIELDS = pa.schema(
    [f.with_type(pa.string()) if f.name == "event_time" else f.with_nullable(True) for f in READING_SCHEMA]
)
_SCHEMA = pa.schema([field.with_nullable(True) for field in READING_SCHEMA])
_REQUIRED = ("machine_id", "sensor_id", "event_time", "value")
_PARSING = pyarrow.json.ParseOptions(explicit_schema=_FIELDS, unexpected_field_behavior="ignore")
_SHORTEST_TIME, _LONGEST_TIME = len("2026-03-01T08:15:30Z"), len("2026-03-01T08:15:30.123456Z")
_OPEN, _CLOSE, _LIST, _ESCAPE, _LINE = b"{", b"}", b"[", b"\\", b"\n"
_MOST_GAPS = 64
"""Different distances between neighbouring values up to which they are decoded where they lie."""


class Decoded(NamedTuple):
    """Readings, and the place of each one's record."""

    readings: pa.RecordBatch
    owner: npt.NDArray[np.int64]


def decode_values(records: Records) -> Decoded | None:
    """The readings of records that are JSON objects, one a line; None where any of them may be something else."""
    found = _lines(records)
    if found is None:
        return None
    lines, ends = found
    breaks = np.flatnonzero(lines == ord(_LINE))
    count = len(breaks) + 1
    if (lines[breaks + 1] != ord(_OPEN)).any():
        return None
    readings = decode_lines(lines, count)
    if readings is None:
        return None
    owner = np.arange(count)
    if count > len(records):
        # a record's last line is ended by the first break behind it
        of_record = np.searchsorted(breaks, ends, side="left")
        owner = np.repeat(np.arange(len(records)), np.diff(of_record, prepend=-1))
    return Decoded(readings, owner)


def decode_lines(lines: npt.NDArray[np.uint8], count: int) -> pa.RecordBatch | None:
    """Readings of as many lines, or None where any of them is not what this reader takes."""
    if not _is_plain(lines, count):
        return None
    reading = pyarrow.json.ReadOptions(use_threads=False, block_size=min(len(lines) + 1, 2**31 - 1))
    try:
        table = pyarrow.json.read_json(pa.BufferReader(pa.py_buffer(lines)), reading, _PARSING)
    except pa.ArrowInvalid:
        return None
    if table.num_rows != count or any(table[name].null_count for name in _REQUIRED):
        return None
    columns = {name: _joined(table[name]) for name in _SCHEMA.names}
    times = times_of(columns["event_time"])
    # the reader takes NaN and Infinity, which are no JSON
    if times is None or not np.isfinite(columns["value"].to_numpy()).all():
        return None
    columns["event_time"] = times
    return pa.RecordBatch.from_arrays([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _lines(records: Records) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None:
    """The values line by line, and where in that each one ends.

    They stay as they lie in the records' bytes; what is between two of them is made the end of a line.
    """
    if len(records) == 0 or records.value_at.min() < 0 or (records.value_end - records.value_at).min() < len("{}"):
        return None
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


def _is_plain(lines: npt.NDArray[np.uint8], count: int) -> bool:
    """No line is cut or joined by what it holds, and nothing is nested, escaped or beyond ASCII."""
    if len(lines) == 0 or lines.max() > 0x7F:
        return False
    of = {sign: int(np.count_nonzero(lines == ord(sign))) for sign in (_OPEN, _CLOSE, _LIST, _ESCAPE)}
    is_flat = of[_OPEN] == of[_CLOSE] == count and of[_LIST] == of[_ESCAPE] == 0
    return is_flat and int(np.count_nonzero(lines < ord(" "))) == count - 1


def times_of(texts: Any) -> Any | None:
    """RFC 3339 times of UTC to the microsecond, or None where one is written otherwise."""
    lengths = pc.binary_length(texts).to_numpy()
    if lengths.min() < _SHORTEST_TIME or lengths.max() > _LONGEST_TIME:
        return None
    held = np.frombuffer(texts.buffers()[2], np.uint8)
    starts = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    begins, ends = starts[:-1], starts[1:]
    signs = ((4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":"))
    if (held[ends - 1] != ord(b"Z")).any() or any((held[begins + place] != ord(sign)).any() for place, sign in signs):
        return None
    fraction = held[begins + 19][lengths > _SHORTEST_TIME]
    if (fraction != ord(b".")).any() or (lengths == _SHORTEST_TIME + 1).any():
        return None
    try:
        return texts.cast(_SCHEMA.field("event_time").type)
    except pa.ArrowInvalid:
        return None


def _joined(column: Any) -> Any:
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined
