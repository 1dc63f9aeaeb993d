"""A runner's right to write for a job: held for a while, renewed long before its end, given up in time.

The store decides who holds a lease (by its own clock, fenced by `lease_epoch`). A runner decides here, by a clock that
never jumps, when it must stop by itself: it cannot ask a store that is away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Lease:
    """`asked_at` is the monotonic time just BEFORE the store was asked: its count began later, so ours ends first."""

    length: timedelta
    asked_at: float

    def __post_init__(self) -> None:
        if self.length <= timedelta(0):
            raise ValueError("a lease's length must be positive")

    @property
    def ends_at(self) -> float:
        return self.asked_at + self.length.total_seconds()

    @property
    def renew_at(self) -> float:
        """A third of the length: two renewals may be lost before the lease is."""
        return self.asked_at + self.length.total_seconds() / 3

    def is_held(self, monotonic: float) -> bool:
        return monotonic < self.ends_at

    def is_due(self, monotonic: float) -> bool:
        return monotonic >= self.renew_at

    def renewed(self, asked_at: float) -> Lease:
        return replace(self, asked_at=asked_at)
