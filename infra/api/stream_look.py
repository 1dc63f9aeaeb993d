"""How far the stream is: what its commits say, against the ends of its topic. A store that is away is said in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ingestion.checkpoint import Progress
from ingestion.errors import IngestionError
from ingestion.freshness import merged, quantile
from scoring.errors import ScoringError
from scoring.specs.shown import time_text

_LOOK_AGAIN_SECONDS = 1.0
_COUNT_LETTERS_AGAIN_SECONDS = 5.0
_LOOK_AT_STREAMS_AGAIN_SECONDS = 5.0

FRESH_MINUTES = 5
"""Minutes of the wall clock over which it is told how soon windows were readable."""


class StreamLook:
    """Answers `GET /stream`. Pages ask often: an answer is good for a second, and one caller at a time looks."""

    def __init__(
        self,
        progress: Callable[[], Mapping[int, Progress]],
        ends: Callable[[], Mapping[int, int]],
        *,
        topic: str,
        open_letters: Callable[[], int] = lambda: 0,
        streams: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        """
        open_letters  is asked only where there are dead letters at all, and not as often as the rest
        streams       a row for each stream, the built-in one and those that are defined; not asked as often, either
        """
        self._progress = progress
        self._ends = ends
        self._topic = topic
        self._open_letters = open_letters
        self._streams = streams
        self._letters_seen: tuple[float, int | None] | None = None
        self._streams_seen: tuple[float, Sequence[Mapping[str, Any]]] | None = None
        self._lock = threading.Lock()
        self._seen: tuple[float, dict[str, Any]] | None = None

    def __call__(self) -> dict[str, Any]:
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > _LOOK_AGAIN_SECONDS:
                answer = self._look()
                self._seen = (time.monotonic(), answer)
            return self._seen[1]

    def _look(self) -> dict[str, Any]:
        reasons = []
        progress: Mapping[int, Progress] = {}
        ends: Mapping[int, int] = {}
        try:
            progress = self._progress()
        except (IngestionError, ScoringError, OSError) as error:
            reasons.append(f"the lake cannot be read: {error}")
        try:
            ends = self._ends()
        except (IngestionError, ScoringError) as error:
            reasons.append(str(error))
        partitions = [
            _partition(number, progress.get(number), ends.get(number)) for number in sorted({*progress, *ends})
        ]
        known = [p["lag"] for p in partitions if p["lag"] is not None]
        return {
            "topic": self._topic,
            "state": "; ".join(reasons) or "ok",
            "lag": sum(known) if known and not reasons else None,
            "open_letters": self._open(any(p["dead_letters"] for p in partitions)),
            "freshness": _freshness(progress),
            "streams": [dict(row) for row in self._all_streams()],
            "partitions": partitions,
        }

    def _all_streams(self) -> Sequence[Mapping[str, Any]]:
        """A row a stream; none where they cannot be told now."""
        seen = self._streams_seen
        if seen is None or time.monotonic() - seen[0] > _LOOK_AT_STREAMS_AGAIN_SECONDS:
            try:
                found = self._streams()
            except (IngestionError, ScoringError, OSError):
                # what is away is said by the other looks
                found = ()
            seen = self._streams_seen = (time.monotonic(), found)
        return seen[1]

    def _open(self, are_there_any: bool) -> int | None:
        """Dead letters that wait for somebody; None where it cannot be told now."""
        if not are_there_any:
            return 0
        seen = self._letters_seen
        if seen is None or time.monotonic() - seen[0] > _COUNT_LETTERS_AGAIN_SECONDS:
            try:
                found: int | None = self._open_letters()
            except (IngestionError, ScoringError, OSError):
                # what is away is said by the other looks
                found = None
            seen = self._letters_seen = (time.monotonic(), found)
        return seen[1]


def _freshness(progress: Mapping[int, Progress]) -> dict[str, Any]:
    """How soon the windows that closed in the last minutes were readable; no seconds where none closed."""
    since = int(time.time() // 60) - FRESH_MINUTES
    parts = merged((one.freshness for one in progress.values()), since_minute=since)
    return {
        "minutes": FRESH_MINUTES,
        "windows": sum(parts.values()),
        "p50_seconds": quantile(parts, 0.5),
        "p95_seconds": quantile(parts, 0.95),
    }


def _partition(number: int, progress: Progress | None, end: int | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "partition": number,
        "next_offset": None if progress is None else progress.next_offset,
        "end_offset": end,
        # before its first commit a partition has everything before it
        "lag": None if end is None else max(end - (0 if progress is None else progress.next_offset), 0),
        "watermark": None if progress is None else time_text(progress.watermark_max),
        "watermark_min": None if progress is None else time_text(progress.watermark_min),
        "last_commit_at": None if progress is None else time_text(progress.last_commit_at),
        "machines": 0 if progress is None else progress.machines,
        "open_windows": 0 if progress is None else progress.open_windows,
        "accepted": 0,
        "late": 0,
        "duplicates": 0,
        "windows": 0,
        "corrections": 0,
        "dead_letters": 0,
        "dead_letters_by_reason": {},
    }
    if progress is not None:
        counters = progress.counters
        shown |= {key: getattr(counters, key) for key in ("accepted", "late", "duplicates", "windows", "corrections")}
        shown["dead_letters"] = sum(counters.dead_letters.values())
        shown["dead_letters_by_reason"] = dict(counters.dead_letters)
    return shown
