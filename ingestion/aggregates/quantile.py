"""Median and 95th percentile by a mergeable sketch: counts of values in buckets of equal relative width.

A bucket is the double's sign, its exponent and the first nine bits of its mantissa: 512 buckets between a number and
its double, so the middle of a bucket is within 2**-10 (0.1 %) of every value in it. Taking bits needs no logarithm and
no random numbers: the same readings give the same bucket counts in any order, on any machine, cut anyhow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Arrivals, Slots

QUANTILES = {"median": 0.5, "p95": 0.95}
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
    """The value in the middle of each bucket."""
    magnitude = np.where(bucket < 0, -1 - bucket, bucket)
    low = (magnitude << _DROPPED_BITS).view(np.float64)
    high = ((magnitude + 1) << _DROPPED_BITS).view(np.float64)
    middle = low + (high - low) / 2
    return np.where(bucket < 0, -middle, middle)


class Quantile:
    """Columns `median` and `p95`: the value of nearest rank, within RELATIVE_ERROR, never beyond the window's extremes.

    State: sorted keys (the window's serial above, the bucket below) with their counts, and readings not yet sorted in.
    """

    def __init__(self) -> None:
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
        np.minimum.at(self._low, arrivals.slot, arrivals.value)
        np.maximum.at(self._high, arrivals.slot, arrivals.value)
        keys = (arrivals.serial << _BUCKET_BITS) | (bucket_of(arrivals.value) + _BUCKET_OFFSET)
        self._put(keys, None)
        # many readings fall into few buckets: sorted in, they take no more room than those
        if self._pending_size > max(1 << 18, 2 * len(self._keys)):
            self._settle()

    def merge(self, into: int, other: Quantile, source: int) -> None:
        self._low[into] = min(self._low[into], other._low[source])
        self._high[into] = max(self._high[into], other._high[source])
        keys, counts = other._of(np.array([source]))[:2]
        self._put((keys & _BUCKET_MASK) | (self._serials[into] << _BUCKET_BITS), counts)

    def results(self, slots: Slots) -> Mapping[str, npt.NDArray[Any]]:
        keys, counts, starts = self._of(slots)
        buckets = (keys & _BUCKET_MASK) - _BUCKET_OFFSET
        running = np.concatenate(([0], np.cumsum(counts)))
        before = running[starts[:-1]]
        sizes = running[starts[1:]] - before
        found = {}
        for name, quantile in QUANTILES.items():
            rank = np.maximum(np.ceil(quantile * sizes).astype(np.int64), 1)
            at = np.searchsorted(running, before + rank, side="left") - 1
            found[name] = np.clip(middle_of(buckets[at]), self._low[slots], self._high[slots])
        return found

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
