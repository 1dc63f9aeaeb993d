"""Numbers for keys: of each reading its machine's and its key's, without a loop over the readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.names import Names
from ingestion.watermark import Watermarks

Ints = npt.NDArray[np.int64]


class Pairs:
    """Numbers from 0 for pairs of numbers. A pair that goes with one of its halves most of the time is found by it."""

    def __init__(self) -> None:
        self._codes: dict[tuple[int, int], int] = {}
        self.first: Ints = np.full(1, -1, np.int64)
        self.second: Ints = np.full(1, -1, np.int64)
        self._by_first: Ints = np.full(1, -1, np.int64)
        self._by_second: Ints = np.full(1, -1, np.int64)

    def __len__(self) -> int:
        return len(self._codes)

    def codes_of(self, first: Ints, second: Ints) -> Ints:
        """The pairs' numbers; a new pair gets the next one."""
        if len(first) == 0:
            return first
        self._by_first = _roomy(self._by_first, int(first.max()) + 1)
        self._by_second = _roomy(self._by_second, int(second.max()) + 1)
        # a half that has no pair yet points at the last element, which no pair ever fills
        codes = self._by_second[second]
        missed = np.flatnonzero(self.first[codes] != first)
        if len(missed) == 0:
            return codes
        a, b = first[missed], second[missed]
        found = self._by_first[a]
        lost = np.flatnonzero((self.first[found] != a) | (self.second[found] != b))
        if len(lost):
            found[lost] = self._look_up(a[lost], b[lost])
        codes[missed] = found
        return codes

    def _look_up(self, first: Ints, second: Ints) -> Ints:
        width = int(second.max()) + 1
        cells, place = np.unique(first * width + second, return_inverse=True)
        firsts, seconds = np.divmod(cells, width)
        pairs = list(zip(firsts.tolist(), seconds.tolist(), strict=True))
        for pair in pairs:
            self._codes.setdefault(pair, len(self._codes))
        codes = np.fromiter(map(self._codes.__getitem__, pairs), np.int64, len(pairs))
        size = len(self._codes) + 1
        self.first, self.second = _roomy(self.first, size), _roomy(self.second, size)
        self.first[codes], self.second[codes] = firsts, seconds
        self._by_first[firsts], self._by_second[seconds] = codes, codes
        return codes[place]


class Keys:
    """Numbers of machines and of keys. They are given for one life of the aggregator: state has names.

    A key is a machine and further strings. Memory grows with the keys that were ever seen, some 200 bytes each.
    """

    def __init__(self, columns: Sequence[str], watermarks: Watermarks) -> None:
        self.columns = columns
        self._watermarks = watermarks
        self._names = [Names() for _ in columns[1:]]
        self._pairs = [Pairs() for _ in columns[1:]]

    def __len__(self) -> int:
        return len(self._pairs[-1]) if self._pairs else len(self._watermarks.names)

    def identify(self, readings: pa.RecordBatch | pa.Table) -> tuple[Ints, Ints]:
        """Of each reading its machine's number and its key's. A null in a key column is the empty string."""
        names, indices = _coded(readings.column(self.columns[0]))
        machine = self._watermarks.codes_of(names)[indices]
        key = machine
        for column, known, pairs in zip(self.columns[1:], self._names, self._pairs, strict=True):
            names, indices = _coded(readings.column(column))
            key = pairs.codes_of(key, known.codes_of(names)[indices])
        return machine, key

    def machine_of(self, key: Ints) -> Ints:
        for pairs in reversed(self._pairs):
            key = pairs.first[key]
        return key

    def named(self, key: Ints) -> dict[str, pa.Array]:
        """The key columns of these keys."""
        columns: dict[str, pa.Array] = {}
        for column, names, pairs in zip(self.columns[:0:-1], self._names[::-1], self._pairs[::-1], strict=True):
            columns[column] = names.named(pairs.second[key])
            key = pairs.first[key]
        columns[self.columns[0]] = self._watermarks.named(key)
        return {name: columns[name] for name in self.columns}


def _coded(column: Any) -> tuple[Sequence[str], Ints]:
    """The distinct strings of a column, and for each place the index of its own."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        column = column.fill_null("")
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return coded.dictionary.to_pylist(), np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)


def _roomy(held: Ints, size: int) -> Ints:
    """The array with at least one element more than `size`, all new ones -1."""
    if len(held) > size:
        return held
    return np.concatenate((held, np.full(max(size + 1 - len(held), len(held)), -1, np.int64)))
