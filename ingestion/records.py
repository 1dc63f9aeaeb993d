"""Messages of one partition, as one record each or as columns over the bytes that hold them. Pure.

A message's key and value are places in `data`: no Python object is made of a message that is like its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Headers = Sequence[tuple[str, bytes]]

NO_BYTES = -1
"""Place of a key or value that is null."""


class Record(Protocol):
    """One Kafka record of a partition, as a client has it.

    timestamp  milliseconds since the epoch; None or -1 where the record has none
    """

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int | None: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Headers: ...


class Message(NamedTuple):
    """A Record to keep. `timestamp` is -1 where the record has none."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """Records of one partition by column, in offset order; every array has one element a record.

    data                what the places below count in, bytes
    offsets, stamps_ms  as in Record; -1 for no timestamp
    key_at, key_end     first byte of the key and the one after its last; NO_BYTES where it is null
    value_at, value_end the same of the value; values lie in `data` in the records' order, at least a byte apart
    next_offset         of the record that follows these, whatever lies between
    headers             of the records that have any, by their place
    """

    data: bytes
    offsets: Ints
    stamps_ms: Ints
    key_at: Ints
    key_end: Ints
    value_at: Ints
    value_end: Ints
    next_offset: int
    headers: Mapping[int, Headers] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record], next_offset: int | None = None) -> Records:
        """Columns of records that somebody has one by one; without `next_offset` the last one's says it."""
        held = list(records)
        stamps = [-1 if record.timestamp is None else record.timestamp for record in held]
        parts: list[bytes] = []
        bounds = np.full((4, len(held)), NO_BYTES, np.int64)
        size = 0
        for row, contents in ((0, [record.key for record in held]), (2, [record.value for record in held])):
            for place, content in enumerate(contents):
                if content is not None:
                    parts += [content, b"\n"]
                    bounds[row : row + 2, place] = size, size + len(content)
                    size += len(content) + 1
        return cls(
            data=b"".join(parts),
            offsets=np.array([record.offset for record in held], np.int64),
            stamps_ms=np.array(stamps, np.int64),
            key_at=bounds[0],
            key_end=bounds[1],
            value_at=bounds[2],
            value_end=bounds[3],
            next_offset=next_offset if next_offset is not None else held[-1].offset + 1 if held else 0,
            headers={place: record.headers for place, record in enumerate(held) if record.headers},
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Message]:
        return (self.message(place) for place in range(len(self)))

    def key(self, place: int) -> bytes | None:
        at = int(self.key_at[place])
        return None if at < 0 else self.data[at : int(self.key_end[place])]

    def value(self, place: int) -> bytes | None:
        at = int(self.value_at[place])
        return None if at < 0 else self.data[at : int(self.value_end[place])]

    def message(self, place: int) -> Message:
        """One of them, to keep."""
        stamp = int(self.stamps_ms[place])
        headers = self.headers.get(place, ())
        return Message(int(self.offsets[place]), stamp, self.key(place), self.value(place), headers)

    def at(self, places: Ints) -> Records:
        """The records at these places, which have to ascend."""
        headers = {}
        if self.headers:
            found = {int(place): new for new, place in enumerate(places)}
            headers = {found[place]: held for place, held in self.headers.items() if place in found}
        return Records(
            data=self.data,
            offsets=self.offsets[places],
            stamps_ms=self.stamps_ms[places],
            key_at=self.key_at[places],
            key_end=self.key_end[places],
            value_at=self.value_at[places],
            value_end=self.value_end[places],
            next_offset=self.next_offset,
            headers=headers,
        )

    def since(self, offset: int) -> Records:
        """Those from an offset on."""
        if not len(self) or self.offsets[0] >= offset:
            return self
        return self.at(np.flatnonzero(self.offsets >= offset))

    def keys(self) -> pa.Array:
        """The keys as a binary column."""
        return gathered(self.data, self.key_at, self.key_end)


def gathered(data: bytes, at: Ints, end: Ints) -> pa.Array:
    """Pieces of bytes as a binary column; null where `at` is NO_BYTES. Pieces of one length are copied together."""
    lengths = np.where(at < 0, 0, end - at)
    stops = np.cumsum(lengths)
    total = int(stops[-1]) if len(stops) else 0
    if total >= 2**31:
        return pa.array([None if a < 0 else data[a:e] for a, e in zip(at, end, strict=True)], pa.large_binary())
    offsets = np.zeros(len(at) + 1, np.int32)
    offsets[1:] = stops
    target = np.empty(total, np.uint8)
    for length, places in by_length(lengths):
        if length:
            runs(target, length)[offsets[:-1][places]] = runs(np.frombuffer(data, np.uint8), length)[at[places]]
    missing = at < 0
    valid = pa.array(~missing).buffers()[1] if missing.any() else None
    return pa.Array.from_buffers(pa.binary(), len(at), [valid, pa.py_buffer(offsets), pa.py_buffer(target)])


def by_length(lengths: Ints) -> Iterable[tuple[int, Any]]:
    """Each length that occurs, and the places where it does: an index for numpy."""
    if len(lengths) == 0:
        return
    least, greatest = int(lengths.min()), int(lengths.max())
    if least == greatest:
        yield least, slice(None)
        return
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        yield int(ordered[start]), order[start:stop]


def runs(held: npt.NDArray[np.uint8], length: int) -> npt.NDArray[Any]:
    """A view of bytes in which every place holds the `length` bytes that begin there."""
    count = max(0, len(held) - length + 1)
    return np.ndarray((count,), np.dtype((np.void, length)), buffer=held, strides=(1,))
