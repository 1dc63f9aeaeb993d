"""The loop that makes pipelines go on: has their next move decided and stored, in one transaction each.

It holds nothing between two looks: whoever looks next, in this process or after its crash, decides the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from scoring.errors import Conflict, TryAgain
from scoring.job import JobStatus
from scoring.job_log import JobLog
from scoring.outage import Outage
from scoring.pipeline.advance import Advance, Decide, advanced, given_up

_log = logging.getLogger(__name__)

_MOST_MOVES = 100


class PipelineStore(Protocol):
    """Pipelines and their children. Every call may raise TryAgain."""

    def going(self) -> Sequence[str]:
        """Names of pipelines that have begun, or may, and have not ended; the oldest first."""
        ...

    def advance(self, name: str, decide: Decide) -> Advance:
        """Store what is decided of a pipeline and its children, all locked meanwhile; what is stored then.

        `changed` are all its children. Raises NotFound, and Conflict where a new child has the name of another job.
        """
        ...


class Conductor:
    """Makes every pipeline go on, one after the other.

    on_released  told when there is something to claim
    """

    def __init__(
        self,
        store: PipelineStore,
        *,
        now: Callable[[], datetime],
        jobs_folder: Path,
        on_released: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._now = now
        self._jobs_folder = jobs_folder
        self._on_released = on_released
        self._said: dict[str, dict[str, str]] = {}

    def look(self) -> None:
        """Once at each of them, as far as it goes. Raises TryAgain while the store is away."""
        going = self._store.going()
        for name in going:
            self._go_on(name)
        for name in [name for name in self._said if name not in going]:
            del self._said[name]

    def serve(self, stop: threading.Event, *, wake: threading.Event | None = None, poll: float = 1.0) -> None:
        """Look until `stop` is set; `wake` is set when a step has ended, or a pipeline was made."""
        outage = Outage(_log, "the conductor of pipelines")
        while not stop.is_set():
            if wake is not None:
                wake.clear()
            try:
                self.look()
                outage.over()
            except TryAgain as away:
                outage.away(away)
            except Exception:
                _log.exception("a pipeline could not go on; the next look comes")
            (wake or stop).wait(poll)

    def _go_on(self, name: str) -> None:
        before: Advance | None = None
        for _ in range(_MOST_MOVES):
            after = self._moved(name)
            self._tell(after)
            if after == before:
                return
            if any(child.status is JobStatus.QUEUED for child in after.changed):
                self._on_released()
            before = after

    def _moved(self, name: str) -> Advance:
        """One move; a pipeline that cannot make it is given up, so that it holds nobody else."""
        try:
            return self._store.advance(name, lambda job, steps: advanced(job, steps, now=self._now()))
        except TryAgain:
            raise
        except Conflict as taken:
            reason = str(taken)
        except Exception as bug:
            _log.exception("pipeline %s failed by an error of tidemill itself", name)
            reason = f"tidemill itself failed: {type(bug).__name__}: {bug}"
        return self._store.advance(name, lambda job, steps: given_up(job, steps, reason=reason, now=self._now()))

    def _tell(self, at: Advance) -> None:
        """The pipeline's log: every change of a step's state."""
        parent, log = at.parent, JobLog(self._jobs_folder / at.parent.name, self._now)
        known = self._said.setdefault(parent.name, {})
        for child in at.changed:
            words = f"{child.status.value}: {child.status_reason or ''}".rstrip(": ")
            if known.get(child.name, "").partition(":")[0] != child.status.value:
                known[child.name] = words
                log.line(f"step {child.step}: {words}")
        words = parent.status.value
        if known.get("") == words:
            return
        known[""] = words
        if parent.status.is_terminal:
            log.result(parent)
        else:
            log.state(parent)
