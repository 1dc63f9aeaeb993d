"""How long closed windows take until they are readable: measured at each commit, kept as a small histogram. Pure.

From the moment when the broker appended the oldest message of the fetch that closed a window, to the end of the commit
that holds its row. A fetch is a few milliseconds where the stream keeps up, so this is hardly more than the time since
the very reading that closed it; where the stream is behind, the messages that waited count as long as they waited.
Windows that silence closed are not counted: no reading asked for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_BOUNDS = tuple(0.01 * 1.1**step for step in range(160))
"""Upper ends of the histogram's parts, in seconds: a tenth apart, to about ten hours. One more part takes the rest."""

KEPT_MINUTES = 10

Minutes = Mapping[int, Mapping[int, int]]
"""Of each minute since 1970 of the wall clock: how many rows by part of the histogram."""


@dataclass(slots=True)
class Freshness:
    """Of one partition. `closed` while its readings are folded, `committed` once that is on disk."""

    minutes: dict[int, dict[int, int]] = field(default_factory=dict)
    _closed: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, minutes: Minutes) -> Freshness:
        return cls(minutes={int(minute): dict(parts) for minute, parts in minutes.items()})

    def closed(self, rows: int, appended_ms: int) -> None:
        """Rows of windows that a fetch closed; the append of its oldest message, ms since 1970; -1: not known."""
        if rows and appended_ms >= 0:
            self._closed.append((rows, appended_ms))

    def begin(self) -> list[tuple[int, int]]:
        """What the commit that begins now will make readable."""
        closed, self._closed = self._closed, []
        return closed

    def committed(self, closed: Iterable[tuple[int, int]], at_ms: float) -> None:
        """What `begin` gave is readable since then, ms since 1970."""
        minute = int(at_ms // 60_000)
        for rows, appended_ms in closed:
            part = bisect_left(_BOUNDS, max(at_ms - appended_ms, 0.0) / 1000)
            parts = self.minutes.setdefault(minute, {})
            parts[part] = parts.get(part, 0) + rows
        for old in [known for known in self.minutes if known <= minute - KEPT_MINUTES]:
            del self.minutes[old]


def merged(many: Iterable[Minutes], *, since_minute: int = 0) -> dict[int, int]:
    """One histogram of several partitions, of the minutes from then on: rows by part."""
    found: dict[int, int] = {}
    for minutes in many:
        for minute, parts in minutes.items():
            if minute >= since_minute:
                for part, rows in parts.items():
                    found[part] = found.get(part, 0) + rows
    return found


def quantile(parts: Mapping[int, int], share: float) -> float | None:
    """Seconds within which this share of the rows was readable, a tenth too high at most; None without rows.

    Beyond ten hours it says ten hours.
    """
    wanted = share * sum(parts.values())
    if not wanted:
        return None
    counted = 0
    for part in sorted(parts):
        counted += parts[part]
        if counted >= wanted:
            return _BOUNDS[min(part, len(_BOUNDS) - 1)]
    raise AssertionError("unreachable")
