"""Numbers from 0 for strings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


class Names:
    """known: the strings; the place of each is its number, in the order in which they were first seen."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self.known: list[str] = []
        self._column: pa.Array = pa.array([], pa.string())

    def codes_of(self, names: Sequence[str]) -> Ints:
        """The names' numbers; a new name gets the next one."""
        try:
            return np.fromiter(map(self._codes.__getitem__, names), np.int64, len(names))
        except KeyError:
            for name in names:
                if name not in self._codes:
                    self._codes[name] = len(self.known)
                    self.known.append(name)
            return np.fromiter(map(self._codes.__getitem__, names), np.int64, len(names))

    def named(self, codes: Ints) -> pa.Array:
        """The strings of these numbers."""
        if len(self._column) < len(self.known):
            more = pa.array(self.known[len(self._column) :], pa.string())
            self._column = pa.concat_arrays([self._column, more])
        return self._column.take(pa.array(codes))
