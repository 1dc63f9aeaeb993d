"""Times as messages write them, RFC 3339 with a zone, as a column. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.reading import READING_SCHEMA

_TYPE = READING_SCHEMA.field("event_time").type
_SHORTEST, _LONGEST = len("2026-03-01T08:15:30Z"), len("2026-03-01T08:15:30.123456Z")


_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _One(msgspec.Struct, gc=False):
    event_time: _Time


class _Many(msgspec.Struct, gc=False):
    event_time: list[_Time]


def check_time(text: str) -> None:
    """Raises msgspec.ValidationError where a text is no time of which `times_of` makes a timestamp."""
    msgspec.convert({"event_time": text}, _One)


def times_of(texts: Sequence[str]) -> Any:
    """Texts as timestamps. Raises msgspec.ValidationError, with the place of the first that is none."""
    written = pa.array(texts, pa.string())
    found = usual_times(written)
    if found is not None:
        return found
    return pa.array(msgspec.convert({"event_time": texts}, _Many).event_time, _TYPE)


def usual_times(texts: Any) -> Any | None:
    """Times of UTC, to the microsecond, as timestamps; None where Arrow may read one in another way than we do."""
    if len(texts) == 0:
        return pa.array([], _TYPE)
    lengths = pc.binary_length(texts).to_numpy()
    if lengths.min() < _SHORTEST or lengths.max() > _LONGEST:
        return None
    held = np.frombuffer(texts.buffers()[2], np.uint8)
    starts = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    begins, ends = starts[:-1], starts[1:]
    signs = ((4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":"))
    if (held[ends - 1] != ord(b"Z")).any() or any((held[begins + place] != ord(sign)).any() for place, sign in signs):
        return None
    fraction = held[begins + 19][lengths > _SHORTEST]
    if (fraction != ord(b".")).any() or (lengths == _SHORTEST + 1).any():
        return None
    try:
        return texts.cast(_TYPE)
    except pa.ArrowInvalid:
        return None
