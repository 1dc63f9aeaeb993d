"""Event time up to which a machine's windows have closed, decided at every reading. Pure, vectorised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

NEVER = -(2**62)
"""Before every event time: nothing has been seen, nothing has closed."""


def running_maximum(group: Ints, value: Ints, start: Ints) -> Ints:
    """At each place, the greatest of `start[group]` and the group's values up to and with this place.

    group  small numbers from 0; start has one element for each of them
    """
    if len(group) == 0:
        return value
    lifted = np.maximum(value, start[group])
    narrow = group.astype(np.uint16) if len(start) <= 1 << 16 else group
    order = np.argsort(narrow, kind="stable")  # of 16-bit numbers a radix sort
    by_group = group[order]
    ordered = lifted[order]
    least = int(ordered.min())
    span = int(ordered.max()) - least + 1
    if span * len(start) < 2**62:
        # each group is lifted above the one before it, so one pass over all never carries a maximum across
        lift = by_group * span
        running = np.maximum.accumulate(ordered - least + lift) - lift + least
    else:
        running = ordered
        starts = np.flatnonzero(np.concatenate(([True], by_group[1:] != by_group[:-1])))
        for begin, end in zip(starts, [*starts[1:], len(running)], strict=True):
            running[begin:end] = np.maximum.accumulate(running[begin:end])
    result = np.empty_like(running)
    result[order] = running
    return result


class Watermarks:
    """The event-time clocks of a partition's machines.

    A machine's watermark is the greatest event time seen of it less the allowed lateness. What has closed is everything
    up to its watermark, and up to its floor: the end of the windows that were closed because it was silent. What can no
    longer be corrected, either, is settled: the correction lateness behind it.
    """

    def __init__(self, allowed_lateness_us: int, correction_lateness_us: int = 0) -> None:
        self._lateness = allowed_lateness_us
        self._correction = correction_lateness_us
        self._codes: dict[str, int] = {}
        self.names: list[str] = []
        self.newest: Ints = np.zeros(0, np.int64)
        self.floor: Ints = np.zeros(0, np.int64)
        self.settled: Ints = np.zeros(0, np.int64)

    def codes_of(self, machines: list[str]) -> Ints:
        """The machines' numbers; a new machine gets the next one."""
        for machine in machines:
            if machine not in self._codes:
                self._codes[machine] = len(self.names)
                self.names.append(machine)
        if len(self.names) > len(self.newest):
            more = np.full(max(len(self.names) - len(self.newest), 64), NEVER, np.int64)
            self.newest = np.concatenate((self.newest, more))
            self.floor = np.concatenate((self.floor, more))
            self.settled = np.concatenate((self.settled, more))
        return np.fromiter((self._codes[machine] for machine in machines), np.int64, len(machines))

    def advance(self, machine: Ints, event_us: Ints) -> Ints:
        """Let the readings pass in their order; returns up to where their machine's windows had closed at each."""
        touched, local = np.unique(machine, return_inverse=True)
        running = running_maximum(local, event_us, self.newest[touched])
        np.maximum.at(self.newest, machine, event_us)
        return np.maximum(running - self._lateness, self.floor[machine])

    def closed_until(self) -> Ints:
        """Of each machine, event time up to which its windows have closed."""
        return np.maximum(self.newest - self._lateness, self.floor)

    def settled_at(self, machine: Ints, closed_until: Ints) -> Ints:
        """Up to where the machines' windows were settled when they had closed up to the given event times."""
        return np.maximum(closed_until - self._correction, self.settled[machine])

    def settled_until(self) -> Ints:
        """Of each machine, event time up to which its windows can no longer be corrected."""
        return np.maximum(self.closed_until() - self._correction, self.settled)

    def raise_floor(self, machine: Ints, until_us: Ints) -> None:
        """Close the machines' windows up to the given event times, whatever their watermark."""
        np.maximum.at(self.floor, machine, until_us)
