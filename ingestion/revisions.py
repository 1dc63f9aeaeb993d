"""Which machines' windows have closed and can still be corrected, how often each was published, what of it is new.

A machine's window is published whole: one row of each of its sensors, all with one revision number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MachineWindow = tuple[int, int]
"""Numbers of a machine and of one of its windows."""


@dataclass(kw_only=True, slots=True)
class _Held:
    published: int
    slots: list[int] = field(default_factory=list)


class Revisions:
    """Bounded by the windows that the correction lateness spans.

    held     closed windows that can be corrected
    changed  of those that hold readings which no published row tells of, the tick that the newest of them came in: the
             number of the window that the machine's clock was in
    """

    def __init__(self) -> None:
        self.held: dict[MachineWindow, _Held] = {}
        self.changed: dict[MachineWindow, int] = {}

    def hold(self, key: MachineWindow, slot: int, published: int) -> None:
        """One more sensor's slot of a window; `published` counts where it is the window's first."""
        self.held.setdefault(key, _Held(published=published)).slots.append(slot)

    def published(self, key: MachineWindow) -> int:
        """How often rows of the window were published: the revision that comes next."""
        held = self.held.get(key)
        return held.published if held else 0

    def passed(self, ticks: Mapping[MachineWindow, int]) -> list[MachineWindow]:
        """Those of the windows whose newest readings came in an earlier tick than the given one."""
        return [key for key, tick in ticks.items() if key in self.changed and self.changed[key] < tick]

    def publish(self, keys: Sequence[MachineWindow]) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Slots of the windows' sensors, and the revision of each one's row; the windows are unchanged from then on."""
        slots: list[int] = []
        revisions: list[int] = []
        for key in keys:
            held = self.held[key]
            slots += held.slots
            revisions += [held.published] * len(held.slots)
            held.published += 1
            del self.changed[key]
        return np.array(slots, np.int64), np.array(revisions, np.int32)


def rounds_of(machine: Ints, window: Ints, tick: Ints) -> Ints:
    """Of each reading, how many earlier ticks there are among the readings of its machine's window."""
    order = np.lexsort((tick, window, machine))
    of_machine, of_window, of_tick = machine[order], window[order], tick[order]
    other_window = (of_machine[1:] != of_machine[:-1]) | (of_window[1:] != of_window[:-1])
    steps = np.concatenate(([0], np.cumsum(other_window | (of_tick[1:] != of_tick[:-1]))))[: len(order)]
    first = np.concatenate(([True], other_window))[: len(order)]
    base = np.maximum.accumulate(np.where(first, steps, 0))
    rounds = np.empty(len(order), np.int64)
    rounds[order] = steps - base
    return rounds
