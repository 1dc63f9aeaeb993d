"""The evaluation of all streams' alerts, in a loop of the service: gently, and never in anybody's way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.alert_rules import StoredRules
from ingestion.alerts.evaluator import AlertedStream
from ingestion.alerts.runner import AlertRunner
from ingestion.errors import IngestionError
from scoring.errors import ScoringError
from scoring.outage import Outage

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
REST_SHARE = 3.0
"""After a round the loop rests this many times as long as the round took: the service has other things to do."""

LONGEST_REST_SECONDS = 10.0
TRY_AGAIN_SECONDS = 5.0


@dataclass(kw_only=True)
class _Watched:
    outage: Outage
    stream: AlertedStream | None = None
    runner: AlertRunner | None = None
    try_at: float = 0.0
    problem: str | None = None


class AlertLoop:
    """A loop beside others.

    rules     of each stream, as they are now
    orphans   names of streams of which alerts were evaluated once; where one has no rules any more, its alerts end
    runner    makes the evaluation of a stream
    """

    def __init__(
        self,
        rules: Callable[[], Sequence[StoredRules]],
        orphans: Callable[[], Sequence[str]],
        runner: Callable[[AlertedStream], AlertRunner],
    ) -> None:
        self._rules = rules
        self._orphans = orphans
        self._make = runner
        self._watched: dict[str, _Watched] = {}

    def serve(self, stop: threading.Event) -> None:
        """Until the event is set."""
        pause = 0.0
        try:
            while not stop.wait(pause):
                began = time.monotonic()
                more = self.round()
                rest = min((time.monotonic() - began) * REST_SHARE, LONGEST_REST_SECONDS)
                pause = rest if more else max(rest, POLL_SECONDS)
        finally:
            for watched in self._watched.values():
                self._drop(watched)
            # an evaluation may have ended in the middle of a step: the next call begins with another
            self._watched = {}

    def round(self) -> bool:
        """Each stream once; whether one of them has more to do. One that fails does not hold up the others."""
        more = False
        for stream in self._streams():
            watched = self._watched.setdefault(stream.name, self._new(stream.name))
            if watched.stream != stream:
                watched.stream, watched.try_at = stream, 0.0
                self._drop(watched)
            if time.monotonic() < watched.try_at:
                continue
            try:
                if watched.runner is None:
                    watched.runner = self._make(stream)
                more |= watched.runner.round()
                watched.outage.over()
            except (IngestionError, ScoringError, OSError) as error:
                watched.outage.away(error)
                self._fail(watched)
            except Exception:
                log.exception("the alerts of %s failed; they go on from their last commit", stream.name)
                self._fail(watched)
        return more

    def _streams(self) -> list[AlertedStream]:
        found: dict[str, AlertedStream] = {}
        wrong = set()
        for stored in self._rules():
            watched = self._watched.setdefault(stored.name, self._new(stored.name))
            if stored.problem is not None:
                wrong.add(stored.name)
                if stored.problem != watched.problem:
                    log.error("the alerts of %s stay as they were: %s", stored.name, stored.problem)
                if watched.stream is not None:
                    found[stored.name] = watched.stream
            elif stored.stream is not None and stored.stream.rules:
                found[stored.name] = stored.stream
            watched.problem = stored.problem
        # whoever is defined wrongly is no orphan
        for name in sorted(set(self._orphans()) - found.keys() - wrong):
            found[name] = AlertedStream(name=name, table=name, key=(), rules=())
        return list(found.values())

    @staticmethod
    def _drop(watched: _Watched) -> None:
        if watched.runner is not None:
            watched.runner.close()
        watched.runner = None

    @classmethod
    def _fail(cls, watched: _Watched) -> None:
        cls._drop(watched)
        watched.try_at = time.monotonic() + TRY_AGAIN_SECONDS

    @staticmethod
    def _new(name: str) -> _Watched:
        return _Watched(outage=Outage(log, f"the evaluation of {name}'s alerts"))
