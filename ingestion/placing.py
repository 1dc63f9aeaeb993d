"""Where readings belong: the port between the aggregator and the kinds of windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Slots
from ingestion.arrived import Arrived

Ints = npt.NDArray[np.int64]

IN_TIME, CORRECTS, LATE = 0, 1, 2


class Placed(NamedTuple):
    """One element for each window that a reading lies in, in offset order.

    rows      places of the readings in what arrived; None: each reading lies in one window
    slot      of the window, opened where it is new; means nothing where the fate is LATE
    fate      IN_TIME, CORRECTS (the window has closed) or LATE; None: all are in time
    start_us  of the window; of a late reading's window that would have been
    turn      readings of turn n are counted before the merges of turn n, those of turn n + 1 after; None: no merges
    merges    of each turn, slots that take up others, and those others
    """

    rows: Ints | None
    slot: Slots
    fate: npt.NDArray[np.int8] | None
    start_us: Ints
    turn: Ints | None = None
    merges: Sequence[tuple[Slots, Slots]] = ()


class Placing(Protocol):
    """One kind of window at work on a table of slots."""

    tick_us: int
    """A correction is published when its machine's clock enters another tick."""

    def place(self, arrived: Arrived) -> Placed:
        """Find or open the windows of readings that have passed their machines' clocks."""

    def counted(self, slot: Slots, event_us: Ints) -> None:
        """Let windows know of the readings that were counted into them."""

    def merged(self, into: Slots, source: Slots) -> None:
        """The table has merged these."""

    def let_go(self, slots: Slots) -> None:
        """The windows are about to be forgotten: they are settled."""

    def until_us(self, slots: Slots) -> Ints:
        """Where the time of each window ends that values hold in."""

    def dump(self, slots: Slots) -> Mapping[str, pa.Array]:
        """What a stored state says of these windows beyond the keys."""

    def load(self, columns: Mapping[str, pa.Array], key: Ints, machine: Ints) -> Slots:
        """Open the windows of a stored state again."""
