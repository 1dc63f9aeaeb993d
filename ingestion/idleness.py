"""Which machines have fallen silent: the one decision of the stream that looks at the clock on the wall. Pure.

A machine is silent when none of its readings came for the idle timeout while the broker kept answering that there is
nothing more. A worker that lags, or a broker that is away, makes nobody silent.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_PAUSE = 5.0
"""Seconds between two answers of the broker after which it counts as away; it answers at least twice a second."""


class Idleness:
    """Silence of one partition's machines. Times are seconds of a monotonic clock."""

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._watching_since = now
        self._answered_at = now
        self._heard_at: dict[str, float] = {}

    def heard(self, machines: Iterable[str], now: float) -> None:
        """Readings of these machines were folded."""
        self._heard_at.update(dict.fromkeys(machines, now))

    def answered(self, at: float) -> None:
        """The broker answered a fetch, whether with readings or none."""
        if at - self._answered_at > LONGEST_PAUSE:
            # whoever was cut off with the broker gets the whole timeout to come back
            self._watching_since = at
        self._answered_at = max(self._answered_at, at)

    def silent(self, machines: Iterable[str], now: float) -> list[str]:
        """Which of these machines have been silent for the timeout. To be asked at the end of the partition only."""
        if now - self._answered_at > LONGEST_PAUSE:
            return []
        return [
            machine
            for machine in machines
            if now - max(self._heard_at.get(machine, self._watching_since), self._watching_since) >= self._timeout
        ]
