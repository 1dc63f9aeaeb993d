"""What every aggregate shares: states as numpy arrays, one element per open window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Slots = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """Readings on their way into windows, in offset order. All arrays have one element a reading.

    slot    the window's place in every aggregate's arrays
    serial  the window's number, never used again
    """

    slot: Slots
    serial: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    event_us: npt.NDArray[np.int64]


class WindowState(Protocol):
    """Something kept per open window. A slot is opened before readings come, and released after its results."""

    def grow(self, size: int) -> None:
        """Make room for slots 0 to size - 1."""

    def open(self, slots: Slots, serials: npt.NDArray[np.int64]) -> None:
        """Start windows without readings."""

    def release(self, slots: Slots) -> None:
        """Forget the windows."""

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        """The slots' states as columns, for a checkpoint."""

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        """What `dump` gave, into slots that have just been opened."""


class Aggregate(WindowState, Protocol):
    """Folds readings into one state per slot."""

    def add(self, arrivals: Arrivals) -> None:
        """Fold readings of open slots, in their order."""

    def merge(self, into: int, other: Any, source: int) -> None:
        """Add what `other` (the same aggregate) holds in its slot `source`: readings that came after ours."""

    def results(self, slots: Slots) -> Mapping[str, npt.NDArray[Any]]:
        """Columns of the rows, for slots with at least one reading. NaN means null."""


class SlotArrays:
    """Base of aggregates whose whole state is a few numbers per slot: `states` names them with type and start value."""

    states: ClassVar[Mapping[str, tuple[type, float]]] = {}

    def __init__(self) -> None:
        self.arrays: dict[str, npt.NDArray[Any]] = {
            name: np.full(0, start, kind) for name, (kind, start) in self.states.items()
        }

    def grow(self, size: int) -> None:
        for name, (kind, start) in self.states.items():
            held = self.arrays[name]
            if len(held) < size:
                self.arrays[name] = np.concatenate((held, np.full(size - len(held), start, kind)))

    def open(self, slots: Slots, serials: npt.NDArray[np.int64]) -> None:
        for name, (_, start) in self.states.items():
            self.arrays[name][slots] = start

    def release(self, slots: Slots) -> None:
        """Nothing to forget: `open` starts a slot anew."""

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        return {name: pa.array(held[slots]) for name, held in self.arrays.items()}

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        for name, held in self.arrays.items():
            held[slots] = columns[name].to_numpy(zero_copy_only=False)
