"""Many Arrow messages decoded at once: their rows are checked together, once they lie in one batch.

Where anything is not sound, nothing is said but that: whoever asked decodes the messages one by one, and finds which of
them it was and why. A message means the same whichever messages it was fetched with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.codec import UNREADABLE_ARROW, decode_arrow
from ingestion.errors import PoisonMessage
from ingestion.plain_streams import plain_batch
from ingestion.records import Records

Ints = npt.NDArray[np.int64]

_ASCII = 0x80


def decode_streams(records: Records) -> tuple[pa.RecordBatch, Ints] | None:
    """The readings of records that are Arrow streams, and the place of each one's record; None where any is unsound."""
    try:
        batches = list(_batches(records))
        readings = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
    except (PoisonMessage, *UNREADABLE_ARROW):
        return None
    if not all(_is_sound(place, readings.column(place), batches) for place in range(readings.num_columns)):
        return None
    return readings, np.repeat(np.arange(len(records)), [batch.num_rows for batch in batches])


def _batches(records: Records) -> Iterator[pa.RecordBatch]:
    """What joining them relies on is checked: that all buffers are there, and where their strings begin and end."""
    data = pa.py_buffer(records.data)
    for at, end in zip(records.value_at.tolist(), records.value_end.tolist(), strict=True):
        batch = plain_batch(data, records.data, at, end)
        if batch is None:
            yield decode_arrow(data.slice(at, end - at))
        else:
            batch.validate()
            yield batch


def _is_sound(place: int, column: Any, batches: list[pa.RecordBatch]) -> bool:
    """Whether a column of the joined batches may be read, as `validate(full=True)` of each of them would find it."""
    valid, *contents = column.buffers()
    try:
        if valid is not None:
            # which rows are null, and how many a sender said there were, are no longer told apart in what was joined
            for batch in batches:
                batch.column(place).validate(full=True)
        elif pa.types.is_string(column.type) and not _are_ascii_strings(column, *contents):
            column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _are_ascii_strings(column: Any, offsets: pa.Buffer, text: pa.Buffer | None) -> bool:
    """Strings without a byte above 7F are valid UTF-8 wherever they are cut; that is found several times faster."""
    if len(column) == 0 or text is None:
        return False
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    if bounds[0] < 0 or bounds[-1] > text.size or (bounds[1:] < bounds[:-1]).any():
        return False
    signs = np.frombuffer(text, np.uint8)[bounds[0] : bounds[-1]]
    return len(signs) == 0 or bool(signs.max() < _ASCII)
