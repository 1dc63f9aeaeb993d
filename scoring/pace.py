"""How fast items end: over the last half minute, so that a slow beginning is soon forgotten."""

from __future__ import annotations

from collections import deque

_WINDOW_SECONDS = 30.0
_SHORTEST_SECONDS = 0.5


class Pace:
    """Fed with counts and the monotonic time of each; items of earlier claims do not count as fast ones."""

    def __init__(self, done: int, now: float) -> None:
        self._seen: deque[tuple[float, int]] = deque([(now, done)])

    def at(self, done: int, now: float) -> float | None:
        """Items a second now; None while too little is known."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        if now - since < _SHORTEST_SECONDS or done <= before:
            return None
        return (done - before) / (now - since)
