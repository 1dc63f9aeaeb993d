"""Distinct values of integer arrays, without a sort where the range is small."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def distinct(values: Ints) -> tuple[Ints, Ints]:
    """The distinct values in ascending order, and for each place the index of its value among them."""
    if len(values) == 0:
        return values, values
    least = int(values.min())
    width = int(values.max()) - least + 1
    if width > 4 * len(values) + 4096:
        found, places = np.unique(values, return_inverse=True)
        return found, places
    shifted = values - least
    present = np.zeros(width, bool)
    present[shifted] = True
    offsets = np.flatnonzero(present)
    place_of = np.empty(width, np.int64)
    place_of[offsets] = np.arange(len(offsets))
    return offsets + least, place_of[shifted]
