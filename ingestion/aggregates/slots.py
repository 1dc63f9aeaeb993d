"""What all parts of aggregates share: states as numpy arrays, one element per open window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Slots = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """One column's values on their way into windows, in offset order. All arrays have one element a value.

    slot    the window's place in every part's arrays
    serial  the window's number, never used again
    value   numbers or truths; of a column of strings indexes of `names`
    names   the strings (objects), where the column is one of strings
    offset  of the message that the value came in
    """

    slot: Slots
    serial: Ints
    value: npt.NDArray[Any]
    event_us: Ints
    offset: Ints
    names: npt.NDArray[np.object_] | None = None

    @property
    def number(self) -> npt.NDArray[np.float64]:
        """The values as doubles."""
        return np.asarray(self.value, np.float64)

    def values_at(self, places: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values themselves, strings as objects."""
        chosen: npt.NDArray[Any] = self.value[places]
        return chosen if self.names is None else self.names[chosen]


class WindowState(Protocol):
    """Something kept per open window. A slot is opened before readings come, and released after its results."""

    def grow(self, size: int) -> None:
        """Make room for slots 0 to size - 1."""

    def open(self, slots: Slots, serials: Ints) -> None:
        """Start windows without readings."""

    def merge(self, into: Slots, other: Self, source: Slots) -> None:
        """Add to each of these slots what `other`, of the same class and maybe the same object, holds in the source.

        The slots in `into` are distinct. Where it matters, what `other` holds came after ours.
        """

    def release(self, slots: Slots) -> None:
        """Forget the windows."""

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        """The slots' states as columns, for a checkpoint."""

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        """What `dump` gave, into slots that have just been opened. Raises KeyError for a column that is not there."""


class Part(WindowState, Protocol):
    """One thing that is kept of a column's values, of which functions read their results.

    prefix  of its columns in a stored state; parts may share one where their columns differ
    """

    prefix: str

    def __init__(self, kind: pa.DataType) -> None:
        """Without slots, for a column of this type."""

    def add(self, arrivals: Arrivals) -> None:
        """Fold values into open slots, in their order."""


State = tuple[Any, Any]
"""Type of a state's array, and what a window begins with."""

NUMPY_TYPES: Mapping[pa.DataType, Any] = {
    pa.float64(): np.float64,
    pa.int64(): np.int64,
    pa.bool_(): np.bool_,
    pa.string(): np.object_,
}
_STARTS: Mapping[Any, Any] = {np.float64: 0.0, np.int64: 0, np.bool_: False, np.object_: None}


def held_value(kind: pa.DataType) -> State:
    """The state that holds one value of a column."""
    dtype = NUMPY_TYPES[kind]
    return dtype, _STARTS[dtype]


class SlotArrays:
    """Base of parts whose whole state is a few values per slot."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self.states = self.states_of(kind)
        self.arrays: dict[str, npt.NDArray[Any]] = {
            name: np.full(0, start, dtype) for name, (dtype, start) in self.states.items()
        }

    def states_of(self, kind: pa.DataType) -> Mapping[str, State]:
        """Names of the arrays, with their types and what a window begins with, for a column of this type."""
        raise NotImplementedError

    def grow(self, size: int) -> None:
        for name, (dtype, start) in self.states.items():
            held = self.arrays[name]
            if len(held) < size:
                self.arrays[name] = np.concatenate((held, np.full(size - len(held), start, dtype)))

    def open(self, slots: Slots, serials: Ints) -> None:
        for name, (_, start) in self.states.items():
            self.arrays[name][slots] = start

    def release(self, slots: Slots) -> None:
        for name, (dtype, _) in self.states.items():
            if dtype is np.object_:
                self.arrays[name][slots] = None

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        return {name: pa.array(held[slots], self._stored(name)) for name, held in self.arrays.items()}

    def load(self, slots: Slots, columns: Mapping[str, pa.Array]) -> None:
        for name, held in self.arrays.items():
            held[slots] = columns[name].to_numpy(zero_copy_only=False)

    def _stored(self, name: str) -> pa.DataType | None:
        return pa.string() if self.states[name][0] is np.object_ else None
