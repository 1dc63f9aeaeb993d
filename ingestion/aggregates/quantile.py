"""Quantiles by a mergeable sketch: counts of values in buckets of equal relative width.

A bucket is the double's sign, its exponent and the first nine bits of its mantissa: 512 buckets between a number and
its double, so the middle of a bucket is within 2**-10 (0.1 %) of every value in it. Taking bits needs no logarithm and
no random numbers: the same readings give the same bucket counts in any order, on any machine, cut anyhow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.functions import Asked, Function, Parameter, register
from ingestion.aggregates.slots import Arrivals, Slots

RELATIVE_ERROR = 2.0**-10
"""Of a result against the exact value of nearest rank; subnormal numbers (below 1e-307) aside."""

_DROPPED_BITS = 43
_BUCKET_BITS = 21
_BUCKET_OFFSET = 1 << (_BUCKET_BITS - 1)
_BUCKET_MASK = (1 << _BUCKET_BITS) - 1
_Ints = npt.NDArray[np.int64]


def bucket_of(value: npt.NDArray[np.float64]) -> _Ints:
    """Bucket numbers, in the order of the values; negative for negative values."""
    bits = (value + 0.0).view(np.int64)  # + 0.0 makes -0.0 a zero
    magnitude = (bits & np.int64(0x7FFF_FFFF_FFFF_FFFF)) >> _DROPPED_BITS
    return np.where(bits < 0, -1 - magnitude, magnitude)


def middle_of(bucket: _Ints) -> npt.NDArray[np.float64]:
    """The value in the middle of each bucket; of the buckets that touch 0, 0."""
    magnitude = np.where(bucket < 0, -1 - bucket, bucket)
    low = (magnitude << _DROPPED_BITS).view(np.float64)
    high = ((magnitude + 1) << _DROPPED_BITS).view(np.float64)
    middle = low + (high - low) / 2
    return np.where(magnitude == 0, 0.0, np.where(bucket < 0, -middle, middle))


class Sketch:
    """Counts of the values in buckets, shared by all quantiles of a column.

    State: sorted keys (the window's serial above, the bucket below) with their counts, and values not yet sorted in.
    """

    prefix = "quantile"

    def __init__(self, kind: pa.DataType) -> None:
        self._serials = np.zeros(0, np.int64)
        self._low = np.zeros(0, np.float64)
        self._high = np.zeros(0, np.float64)
        self._keys: _Ints = np.zeros(0, np.int64)
        self._counts: _Ints = np.zeros(0, np.int64)
        self._pending: list[tuple[_Ints, _Ints | None]] = []
        self._pending_size = 0

    def grow(self, size: int) -> None:
        more = size - len(self._serials)
        if more > 0:
            self._serials = np.concatenate((self._serials, np.full(more, -1, np.int64)))
            self._low = np.concatenate((self._low, np.full(more, np.inf)))
            self._high = np.concatenate((self._high, np.full(more, -np.inf)))

    def open(self, slots: Slots, serials: npt.NDArray[np.int64]) -> None:
        self._serials[slots] = serials
        self._low[slots] = np.inf
        self._high[slots] = -np.inf

    def add(self, arrivals: Arrivals) -> None:
        value = arrivals.number
        np.minimum.at(self._low, arrivals.slot, value)
        np.maximum.at(self._high, arrivals.slot, value)
        keys = (arrivals.serial << _BUCKET_BITS) | (bucket_of(value) + _BUCKET_OFFSET)
        self._put(keys, None)
        # many readings fall into few buckets: sorted in, they take no more room than those
        if self._pending_size > max(1 << 18, 2 * len(self._keys)):
            self._settle()

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        self._low[into] = np.minimum(self._low[into], other._low[source])
        self._high[into] = np.maximum(self._high[into], other._high[source])
        keys, counts, starts = other._of(source)
        self._put((keys & _BUCKET_MASK) | (np.repeat(self._serials[into], np.diff(starts)) << _BUCKET_BITS), counts)

    def quantile(self, slots: Slots, share: float) -> npt.NDArray[np.float64]:
        """The value of nearest rank, within RELATIVE_ERROR, never beyond the window's extremes; NaN without values."""
        keys, counts, starts = self._of(slots)
        if len(keys) == 0:
            return np.full(len(slots), np.nan)
        buckets = (keys & _BUCKET_MASK) - _BUCKET_OFFSET
        running = np.concatenate(([0], np.cumsum(counts)))
        before = running[starts[:-1]]
        sizes = running[starts[1:]] - before
        rank = np.maximum(np.ceil(share * sizes).astype(np.int64), 1)
        at = np.minimum(np.searchsorted(running, before + rank, side="left") - 1, len(buckets) - 1)
        found = np.clip(middle_of(buckets[at]), self._low[slots], self._high[slots])
        return np.where(sizes > 0, found, np.nan)

    def release(self, slots: Slots) -> None:
        self._settle()
        gone = np.sort(self._serials[slots])
        serial_of_key = self._keys >> _BUCKET_BITS
        at = np.minimum(np.searchsorted(gone, serial_of_key), len(gone) - 1)
        kept = gone[at] != serial_of_key
        self._keys, self._counts = self._keys[kept], self._counts[kept]
        self._serials[slots] = -1

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        keys, counts, starts = self._of(slots)
        offsets = pa.array(starts, pa.int32())
        return {
            "sketch_buckets": pa.ListArray.from_arrays(
                offsets, pa.array((keys & _BUCKET_MASK) - _BUCKET_OFFSET, pa.int32())
            ),
            "sketch_counts": pa.ListArray.from_arrays(offsets, pa.array(counts)),
            "sketch_low": pa.array(self._low[slots]),
            "sketch_high": pa.array(self._high[slots]),
        }

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        self._low[slots] = columns["sketch_low"].to_numpy()
        self._high[slots] = columns["sketch_high"].to_numpy()
        buckets = columns["sketch_buckets"].flatten().to_numpy().astype(np.int64)
        sizes = columns["sketch_buckets"].value_lengths().to_numpy()
        serials = np.repeat(self._serials[slots], sizes)
        counts = columns["sketch_counts"].flatten().to_numpy().astype(np.int64)
        self._put((serials << _BUCKET_BITS) | (buckets + _BUCKET_OFFSET), counts)

    def _put(self, keys: _Ints, counts: _Ints | None) -> None:
        self._pending.append((keys, counts))
        self._pending_size += len(keys)

    def _settle(self) -> None:
        """Sort what is pending into the keys, equal keys joined."""
        if not self._pending:
            return
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._pending)])
        counts = np.concatenate(
            [self._counts, *(np.ones(len(k), np.int64) if c is None else c for k, c in self._pending)]
        )
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
        self._keys = keys[first]
        self._counts = np.add.reduceat(counts, first) if len(keys) else counts
        self._pending, self._pending_size = [], 0

    def _of(self, slots: Slots) -> tuple[_Ints, _Ints, _Ints]:
        """Keys and counts of the slots one after another, and where each slot's begin (one more than slots)."""
        self._settle()
        serials = self._serials[slots]
        low = np.searchsorted(self._keys, serials << _BUCKET_BITS)
        high = np.searchsorted(self._keys, (serials + 1) << _BUCKET_BITS)
        sizes = high - low
        starts = np.concatenate(([0], np.cumsum(sizes)))
        at = np.repeat(low - starts[:-1], sizes) + np.arange(starts[-1])
        return self._keys[at], self._counts[at], starts


def _quantile(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = parts[0].quantile(asked.slots, asked.numbers[0])
    return found


def _median(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    return _quantile(parts, asked._replace(numbers=(0.5,)))


def _p95(parts: Sequence[Any], asked: Asked) -> npt.NDArray[Any]:
    return _quantile(parts, asked._replace(numbers=(0.95,)))


def _share(given: float | str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
        raise ValueError(f"{given!r} is no share; write a number between 0 and 1, e.g. 0.99")
    return float(given)


_Q = Parameter(name="q", read=_share, meaning="the share of values that the result is not below, e.g. 0.99")

register(
    Function(
        name="quantile",
        meaning="the least value that a share q of the values does not exceed, within 0.1 %",
        parts=(Sketch,),
        read=_quantile,
        parameters=(_Q,),
    )
)
register(Function(name="median", meaning="quantile with q 0.5", parts=(Sketch,), read=_median))
register(Function(name="p95", meaning="quantile with q 0.95", parts=(Sketch,), read=_p95))
