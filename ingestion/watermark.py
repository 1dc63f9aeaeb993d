"""Event time up to which a machine's windows have closed, decided at every reading. Pure, vectorised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.grouping import distinct
from ingestion.names import Names

Ints = npt.NDArray[np.int64]

NEVER = -(2**62)
"""Before every event time: nothing has been seen, nothing has closed."""

_LONG_RUN = 8
"""Readings of one machine in a row, on the average, from which on they are looked at as runs first."""


class Passed(NamedTuple):
    """What readings have met that passed their machines' clocks.

    closed_until  of each reading, event time up to which its machine's windows had closed
    runs          where the runs of one machine's readings begin, if every machine's come in the order of their event
                  times and each run after all that was seen before of its machine; else None
    """

    closed_until: Ints
    runs: Ints | None


def running_maximum(group: Ints, value: Ints, start: Ints) -> Ints:
    """At each place, the greatest of `start[group]` and the group's values up to and with this place.

    group  small numbers from 0; start has one element for each of them
    """
    if len(start) == 1:
        return np.maximum.accumulate(np.maximum(value, start[0]))
    order, running = _by_group(group, value, start)
    result = np.empty_like(running)
    result[order] = running
    return result


def maximum_before(group: Ints, value: Ints, start: Ints) -> Ints:
    """At each place, the greatest of `start[group]` and the group's values before this place."""
    order, running = _by_group(group, value, start)
    by_group = group[order]
    before = np.empty_like(running)
    before[1:] = running[:-1]
    first = np.flatnonzero(np.concatenate(([True], by_group[1:] != by_group[:-1])))[: len(order)]
    before[first] = start[by_group[first]]
    result = np.empty_like(running)
    result[order] = before
    return result


def _by_group(group: Ints, value: Ints, start: Ints) -> tuple[Ints, Ints]:
    """Places in the order of their groups, and the running maximum in that order."""
    lifted = np.maximum(value, start[group])
    if len(group) == 0:
        return group, lifted
    narrow = group.astype(np.uint16) if len(start) <= 1 << 16 else group
    order = np.argsort(narrow, kind="stable")  # of 16-bit numbers a radix sort
    by_group = group[order]
    ordered = lifted[order]
    least = int(ordered.min())
    span = int(ordered.max()) - least + 1
    if span * len(start) < 2**62:
        # each group is lifted above the one before it, so one pass over all never carries a maximum across
        lift = by_group * span
        return order, np.maximum.accumulate(ordered - least + lift) - lift + least
    running = ordered
    starts = np.flatnonzero(np.concatenate(([True], by_group[1:] != by_group[:-1])))
    for begin, end in zip(starts, [*starts[1:], len(running)], strict=True):
        running[begin:end] = np.maximum.accumulate(running[begin:end])
    return order, running


class Watermarks:
    """The event-time clocks of a partition's machines.

    A machine's watermark is the greatest event time seen of it less the allowed lateness. What has closed is everything
    up to its watermark, and up to its floor: the end of the windows that were closed because it was silent. What can no
    longer be corrected, either, is settled: the correction lateness behind it.
    """

    def __init__(self, allowed_lateness_us: int, correction_lateness_us: int = 0) -> None:
        self._lateness = allowed_lateness_us
        self._correction = correction_lateness_us
        self._names = Names()
        self.newest: Ints = np.zeros(0, np.int64)
        self.floor: Ints = np.zeros(0, np.int64)
        self.settled: Ints = np.zeros(0, np.int64)

    @property
    def names(self) -> Sequence[str]:
        """The machines, by their numbers."""
        return self._names.known

    def named(self, machine: Ints) -> pa.Array:
        """Names of these machines."""
        return self._names.named(machine)

    def codes_of(self, machines: Sequence[str]) -> Ints:
        """The machines' numbers; a new machine gets the next one."""
        codes = self._names.codes_of(machines)
        missing = len(self._names.known) - len(self.newest)
        if missing > 0:
            more = np.full(max(missing, len(self.newest), 64), NEVER, np.int64)
            self.newest = np.concatenate((self.newest, more))
            self.floor = np.concatenate((self.floor, more))
            self.settled = np.concatenate((self.settled, more))
        return codes

    def advance(self, machine: Ints, event_us: Ints) -> Passed:
        """Let the readings pass in their order."""
        starts = np.flatnonzero(machine[1:] != machine[:-1]) + 1
        if len(starts) * _LONG_RUN < len(machine):
            in_order = self._advance_in_order(machine, event_us, np.concatenate(([0], starts)))
            if in_order is not None:
                return in_order
        touched, local = distinct(machine)
        running = running_maximum(local, event_us, self.newest[touched])
        np.maximum.at(self.newest, machine, event_us)
        return Passed(np.maximum(running - self._lateness, self.floor[machine]), None)

    def _advance_in_order(self, machine: Ints, event_us: Ints, starts: Ints) -> Passed | None:
        """What `advance` does, where no machine's reading is older than one before it: each is the newest itself."""
        older = np.flatnonzero(event_us[1:] < event_us[:-1]) + 1
        if (machine[older] == machine[older - 1]).any():
            return None
        of_run = machine[starts]
        first, last = event_us[starts], event_us[np.append(starts[1:], len(machine)) - 1]
        touched, local = distinct(of_run)
        before = maximum_before(local, last, self.newest[touched])
        if (first < before).any():
            return None
        np.maximum.at(self.newest, of_run, last)
        closed_until = event_us - self._lateness
        if (self.floor[of_run] > first - self._lateness).any():
            closed_until = np.maximum(closed_until, self.floor[machine])
        return Passed(closed_until, starts if (first > before).all() else None)

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

    def dump(self) -> pa.Table:
        """One row a machine, for a state."""
        seen = len(self.names)
        return pa.table(
            {
                "machine_id": pa.array(self.names, pa.string()),
                "newest_us": self.newest[:seen],
                "floor_us": self.floor[:seen],
                "closed_us": self.closed_until()[:seen],
                "settled_us": self.settled_until()[:seen],
            }
        )

    def load(self, machines: pa.Table) -> None:
        """What `dump` gave, maybe of clocks with another lateness: what had closed stays closed, settled settled."""
        codes = self.codes_of(machines["machine_id"].to_pylist())
        self.newest[codes] = machines["newest_us"].to_numpy()
        self.floor[codes] = machines["floor_us"].to_numpy()
        if "closed_us" in machines.column_names:
            self.raise_floor(codes, machines["closed_us"].to_numpy())
            self.settled[codes] = machines["settled_us"].to_numpy()
        else:
            self.settled[codes] = self.closed_until()[codes]
