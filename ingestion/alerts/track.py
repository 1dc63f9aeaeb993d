"""What a threshold or a rate says of one key: its episodes, from its windows in their order.

The alerts of a key are a function of the latest revisions of its windows. As a correction may change a window, the
windows that can still be corrected are kept, with the state before the first of them, and judged again when one
changes; what was told already is compared with that, and only the difference is told. Older windows are settled.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ingestion.alerts.alert import AlertState, Cause
from ingestion.alerts.rules import Rate, Threshold

MOST_OPEN = 128
"""Windows of a key that are judged again after a correction; what comes for an older one changes nothing."""

MOST_REFERENCES = 500
"""Settled windows of a key that a rate compares with."""


class Point(NamedTuple):
    """A window of the key: its column's value. Times in microseconds since 1970."""

    start: int
    end: int
    revision: int
    value: float


class Verdict(NamedTuple):
    """value: what is compared with the bound; bound: the one that it lies beyond, or None."""

    value: float
    bound: float | None
    is_clear: bool


class Told(NamedTuple):
    """A row to be told of the episode that began with the window `first`."""

    first: int
    change: int
    state: AlertState
    cause: Cause
    point: Point
    verdict: Verdict


@dataclass(slots=True)
class _Episode:
    """What was told of an episode: how many rows, and with which window it ended."""

    changes: int
    ended: int | None = None
    withdrawn: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """How one rule looks at the windows of any key.

    run            windows in a row that must be beyond
    correction_us  how far a window's end may lie behind the key's newest window while it may still change
    """

    condition: Threshold | Rate
    run: int
    correction_us: int

    @property
    def within_us(self) -> int:
        return round(self.condition.within.total_seconds() * 1e6) if isinstance(self.condition, Rate) else 0

    def verdict(self, points: list[Point], index: int) -> Verdict:
        """Of the window at `index`; those before it are what it is compared with."""
        point = points[index]
        if isinstance(self.condition, Threshold):
            bound = self.condition.broken_bound(point.value)
            return Verdict(point.value, bound, self.condition.is_clear(point.value))
        change, oldest = 0.0, point.end - self.within_us
        for other in points[:index]:
            if other.end < oldest:
                continue
            step = point.value - other.value
            if abs(step) > abs(change) and self.condition.direction in ("any", "rise" if step > 0 else "fall"):
                change = step
        limit = self.condition.change
        if abs(change) > limit:
            return Verdict(change, limit if change > 0 else -limit, False)
        return Verdict(change, None, True)

    def may_change(self, point: Point, newest: Point) -> bool:
        # a correction is published when the machine's clock enters another window, hence one length more
        length = point.end - point.start
        return point is newest or (self.correction_us > 0 and point.end + length + self.correction_us >= newest.start)


@dataclass(slots=True)
class Track:
    """One key under one rule.

    streak, firing  before the first open window: windows beyond in a row, the first window of the episode
    points          the last windows, in order; the first `settled` of them are only compared with
    settled_until   start of the newest window that was settled, whether it is still kept or not
    heard_us        wall clock of the commit that last told of the key
    """

    streak: int = 0
    firing: int | None = None
    points: list[Point] = field(default_factory=list)
    settled: int = 0
    settled_until: int | None = None
    heard_us: int = 0
    episodes: dict[int, _Episode] = field(default_factory=dict)
    _changed: bool = False

    @property
    def newest(self) -> Point:
        return self.points[-1]

    def put(self, point: Point) -> bool:
        """Take a window, or another revision of it; whether anything is to be judged."""
        if not self.points or point.start > self.points[-1].start:
            self.points.append(point)
            self._changed = True
            return True
        if self.settled_until is not None and point.start <= self.settled_until:
            return False
        index = bisect_left(self.points, point.start, key=lambda known: known.start)
        known = self.points[index]
        if known.start != point.start:
            self.points.insert(index, point)
        elif known.revision >= point.revision:
            return False
        else:
            self.points[index] = point
            if known.value == point.value and known.end == point.end:
                return False
        self._changed = True
        return True

    def judge(self, judge: Judge) -> Iterator[Told]:
        """What is new to tell since the last time; then settle what no correction can reach."""
        if self._changed:
            self._changed = False
            if self._is_at_rest(judge):
                return
            yield from self._difference(judge)
            self._settle(judge)

    def ended(self, cause: Cause, judge: Judge) -> Iterator[Told]:
        """The key is watched no longer: what was told to be firing ends."""
        for first, episode in self.episodes.items():
            if episode.ended is None and not episode.withdrawn:
                verdict = judge.verdict(self.points, len(self.points) - 1)
                yield self._told(first, episode, "resolved", cause, self.newest, verdict)

    def _is_at_rest(self, judge: Judge) -> bool:
        """The usual case, made short: one window came, nothing fires, nothing can be corrected, nothing is beyond."""
        condition = judge.condition
        if judge.correction_us or self.episodes or self.streak or not isinstance(condition, Threshold):
            return False
        if any(condition.broken_bound(point.value) is not None for point in self.points):
            return False
        if len(self.points) > 1:
            self.settled_until = self.points[-2].start
            self.points = self.points[-1:]
        self.settled = 0
        return True

    def _difference(self, judge: Judge) -> Iterator[Told]:
        spans = self._spans(judge)
        for first, (begin, end) in spans.items():
            episode = self.episodes.get(first)
            if episode is None:
                assert begin is not None
                episode = self.episodes[first] = _Episode(changes=0)
                yield self._told(first, episode, "firing", "window", *begin)
            elif (episode.withdrawn or (end is None and episode.ended is not None)) and begin is not None:
                episode.withdrawn, episode.ended = False, None
                yield self._told(first, episode, "firing", "correction", *begin)
            elif end is None and episode.ended is not None:
                episode.ended = None
                point = self.newest
                verdict = judge.verdict(self.points, len(self.points) - 1)
                yield self._told(first, episode, "firing", "correction", point, verdict)
            if end is not None and episode.ended != end[0].start:
                cause: Cause = "window" if episode.ended is None else "correction"
                episode.ended = end[0].start
                yield self._told(first, episode, "resolved", cause, *end)
        for first, episode in self.episodes.items():
            if first not in spans and not episode.withdrawn and self._is_open(first):
                episode.withdrawn = True
                index = bisect_left(self.points, first, key=lambda known: known.start)
                yield self._told(
                    first, episode, "resolved", "correction", self.points[index], judge.verdict(self.points, index)
                )

    def _is_open(self, start: int) -> bool:
        return start >= self.points[self.settled].start

    @staticmethod
    def _told(first: int, episode: _Episode, state: AlertState, cause: Cause, point: Point, verdict: Verdict) -> Told:
        episode.changes += 1
        return Told(first, episode.changes - 1, state, cause, point, verdict)

    def _spans(self, judge: Judge) -> dict[int, tuple[tuple[Point, Verdict] | None, tuple[Point, Verdict] | None]]:
        """Episodes of the open windows by their first window: what began each (None: a settled one), what ended it."""
        found: dict[int, tuple[tuple[Point, Verdict] | None, tuple[Point, Verdict] | None]] = {}
        streak, firing = self.streak, self.firing
        if firing is not None:
            found[firing] = (None, None)
        for index in range(self.settled, len(self.points)):
            verdict = judge.verdict(self.points, index)
            point = self.points[index]
            before = firing
            streak, firing = _step(streak, firing, judge.run, point, verdict)
            if before is None and firing is not None:
                found[firing] = ((point, verdict), None)
            elif before is not None and firing is None:
                found[before] = (found[before][0], (point, verdict))
        return found

    def _settle(self, judge: Judge) -> None:
        newest = self.newest
        while self.settled < len(self.points) - 1 and (
            len(self.points) - self.settled > MOST_OPEN or not judge.may_change(self.points[self.settled], newest)
        ):
            verdict = judge.verdict(self.points, self.settled)
            point = self.points[self.settled]
            self.streak, self.firing = _step(self.streak, self.firing, judge.run, point, verdict)
            self.settled += 1
            self.settled_until = point.start
        oldest = self.points[self.settled].end - judge.within_us
        needed = 0
        while needed < self.settled and self.points[needed].end < oldest:
            needed += 1
        needed = max(needed, self.settled - MOST_REFERENCES) if judge.within_us else self.settled
        self.points = self.points[needed:]
        self.settled -= needed
        first_open = self.points[self.settled].start
        self.episodes = {
            first: episode
            for first, episode in self.episodes.items()
            if first == self.firing or first >= first_open or (episode.ended or 0) >= first_open
        }

    # -- as plain values ---------------------------------------------------------------------------------------------

    def plain(self) -> list[Any]:
        episodes = [[first, e.changes, e.ended, e.withdrawn] for first, e in self.episodes.items()]
        points = [list(point) for point in self.points]
        return [self.streak, self.firing, self.settled, self.settled_until, self.heard_us, points, episodes]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> Track:
        streak, firing, settled, settled_until, heard_us, points, episodes = plain
        return cls(
            streak=streak,
            firing=firing,
            settled=settled,
            settled_until=settled_until,
            heard_us=heard_us,
            points=[Point(*point) for point in points],
            episodes={first: _Episode(*told) for first, *told in episodes},
        )


def _step(streak: int, firing: int | None, run: int, point: Point, verdict: Verdict) -> tuple[int, int | None]:
    """The state after a window: windows beyond in a row, the first window of the episode."""
    streak = min(streak + 1, run) if verdict.bound is not None else 0
    if firing is None:
        return streak, point.start if streak >= run else None
    return streak, None if verdict.is_clear else firing
