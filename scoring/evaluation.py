"""How good predictions were, against what was really wrong: precision, recall, and how early a fault was found.

Pure figures over values. A window is *faulty* when at least half of it lies in an episode. An episode counts as
*detected* when `persistence` consecutive scored windows of its machine, all touching it, were flagged: one flagged
window is a hint, several are an alarm. The same rule makes false alarms: a row of flagged windows that touches no
episode.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

SENSOR = "sensor"
MACHINE = "machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """Something was wrong from `starts_at` to `ends_at`; `sensor_id` is None where it was the machine itself."""

    fault_id: str
    machine_id: str
    kind: str
    starts_at: datetime
    ends_at: datetime
    sensor_id: str | None = None

    @property
    def of(self) -> str:
        return MACHINE if self.sensor_id is None else SENSOR


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredWindow:
    """One prediction: was this window of this machine flagged as an anomaly?"""

    machine_id: str
    start: datetime
    end: datetime
    flagged: bool

    def overlap(self, episode: Episode) -> timedelta:
        return max(timedelta(0), min(self.end, episode.ends_at) - max(self.start, episode.starts_at))

    def is_in(self, episode: Episode) -> bool:
        return 2 * self.overlap(episode) >= self.end - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeOutcome:
    """What became of one episode.

    windows, flagged  scored windows in it, and how many of them were flagged
    detected_at       end of the window that completed the alarm; None where there was no alarm
    """

    episode: Episode
    windows: int
    flagged: int
    detected_at: datetime | None

    @property
    def delay(self) -> timedelta | None:
        """From the start of the episode to the alarm."""
        return None if self.detected_at is None else self.detected_at - self.episode.starts_at

    @property
    def lead(self) -> timedelta | None:
        """From the alarm to the end of the episode, where a progressive fault would have become a failure."""
        return None if self.detected_at is None else self.episode.ends_at - self.detected_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Figures over all scored windows; ratios are None where there is nothing to divide by.

    skipped       windows that were left out because they come just after an episode
    false_alarms  alarms that touch no episode
    """

    windows: int
    skipped: int
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    outcomes: tuple[EpisodeOutcome, ...]
    false_alarms: int
    machine_days: float

    @property
    def precision(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def detected(self) -> int:
        return sum(outcome.detected_at is not None for outcome in self.outcomes)

    @property
    def episode_recall(self) -> float | None:
        return _ratio(self.detected, len(self.outcomes))

    @property
    def episode_precision(self) -> float | None:
        """Share of alarms that were about something: detected episodes among them and the false alarms."""
        return _ratio(self.detected, self.detected + self.false_alarms)

    @property
    def median_delay(self) -> timedelta | None:
        return _median(outcome.delay for outcome in self.outcomes)

    @property
    def median_lead(self) -> timedelta | None:
        return _median(outcome.lead for outcome in self.outcomes)

    def by_kind(self) -> Mapping[str, Sequence[EpisodeOutcome]]:
        """Outcomes of each kind of fault, kinds in alphabetical order."""
        grouped: dict[str, list[EpisodeOutcome]] = defaultdict(list)
        for outcome in sorted(self.outcomes, key=lambda o: (o.episode.kind, o.episode.starts_at)):
            grouped[outcome.episode.kind].append(outcome)
        return grouped


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _median(durations: Iterable[timedelta | None]) -> timedelta | None:
    known = [duration for duration in durations if duration is not None]
    return median(known) if known else None  # type: ignore[type-var]  # timedelta orders and divides


def evaluate(
    windows: Iterable[ScoredWindow],
    episodes: Iterable[Episode],
    *,
    persistence: int = 3,
    settling: timedelta = timedelta(0),
) -> Evaluation:
    """Compare scored windows with episodes. A (machine, start) that was scored more than once counts as its last.

    persistence  consecutive flagged windows that make an alarm
    settling     windows that begin within this after an episode count neither way: a bearing cools slowly
    """
    if persistence < 1:
        raise ValueError("persistence must be at least 1")
    scored: dict[str, dict[datetime, ScoredWindow]] = defaultdict(dict)
    for window in windows:
        scored[window.machine_id][window.start] = window
    happened: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        happened[episode.machine_id].append(episode)

    counts: dict[tuple[bool, bool], int] = defaultdict(int)
    outcomes: list[EpisodeOutcome] = []
    skipped, false_alarms, observed = 0, 0, timedelta(0)
    for machine_id in sorted(scored):
        row = sorted(scored[machine_id].values(), key=lambda w: w.start)
        known = sorted(happened[machine_id], key=lambda e: e.starts_at)
        observed += sum((w.end - w.start for w in row), timedelta(0))
        judged = []
        for window in row:
            faulty = any(window.is_in(episode) for episode in known)
            touched = any(
                window.start < episode.ends_at + settling and window.end > episode.starts_at for episode in known
            )
            if not faulty and touched:
                skipped += 1
            else:
                counts[faulty, window.flagged] += 1
            judged.append((window, touched))
        outcomes += [found for episode in known if (found := _outcome(episode, row, persistence))]
        false_alarms += _alarms_about_nothing(judged, persistence)
    return Evaluation(
        windows=sum(counts.values()),
        skipped=skipped,
        true_positives=counts[True, True],
        false_positives=counts[False, True],
        false_negatives=counts[True, False],
        true_negatives=counts[False, False],
        outcomes=tuple(sorted(outcomes, key=lambda o: (o.episode.starts_at, o.episode.fault_id))),
        false_alarms=false_alarms,
        machine_days=observed / timedelta(days=1),
    )


def _outcome(episode: Episode, row: Sequence[ScoredWindow], persistence: int) -> EpisodeOutcome | None:
    """What the windows say about an episode; None where none of them was scored."""
    inside = [window for window in row if window.overlap(episode) > timedelta(0)]
    if not inside:
        return None
    detected_at, streak = None, 0
    for before, window in zip([None, *inside], inside, strict=False):
        joined = before is not None and before.end == window.start
        streak = (streak if joined else 0) + 1 if window.flagged else 0
        if streak >= persistence:
            detected_at = window.end
            break
    return EpisodeOutcome(
        episode=episode, windows=len(inside), flagged=sum(w.flagged for w in inside), detected_at=detected_at
    )


def _alarms_about_nothing(judged: Sequence[tuple[ScoredWindow, bool]], persistence: int) -> int:
    """Rows of at least `persistence` joined flagged windows of which none touches an episode."""
    alarms, streak, excused, last_end = 0, 0, False, None
    for window, touched in judged:
        if not window.flagged or (last_end is not None and last_end != window.start):
            alarms += streak >= persistence and not excused
            streak, excused = 0, False
        if window.flagged:
            streak, excused = streak + 1, excused or touched
        last_end = window.end
    return alarms + (streak >= persistence and not excused)
