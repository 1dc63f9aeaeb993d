"""The engine: takes a queued job under a lease, and brings it to its end; what that takes is its kind's pass."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from scoring.errors import LeaseLost, TryAgain
from scoring.held_job import HeldJob, Patience
from scoring.job import Job, JobKind
from scoring.job_pass import JobPass, RunnerPorts
from scoring.lease import Lease
from scoring.outage import Outage
from scoring.pipeline.command_pass import CommandPass
from scoring.pipeline.parallel_pass import ParallelPass
from scoring.scoring_pass import ScoringPass

__all__ = ["Patience", "Runner", "RunnerPorts"]

_log = logging.getLogger(__name__)

_PASSES: Mapping[JobKind, type[JobPass]] = {
    JobKind.SCORING: ScoringPass,
    JobKind.COMMAND: CommandPass,
    JobKind.PARALLEL: ParallelPass,
}


class Runner:
    """Runs jobs one after the other; start several (each with an owner's name of its own) for jobs side by side."""

    def __init__(self, ports: RunnerPorts, *, owner: str, patience: Patience | None = None) -> None:
        self._ports = ports
        self._owner = owner
        self._patience = patience or Patience()

    def run_one(self, stop: threading.Event | None = None) -> Job | None:
        """Claim the oldest waiting job and bring it to its end; None when none waits.

        When `stop` is set the job is let go at once, unended, with what was scored of it kept.

        Raises LeaseLost when another runner took it over, TryAgain when a store stayed away: the job is not ended then,
        and a later claim goes on with it.
        """
        asked_at = time.monotonic()
        job = self._ports.jobs.claim(self._owner, self._patience.lease, avoid=self._ports.crowded())
        if job is None:
            return None
        lease = Lease(length=self._patience.lease, asked_at=asked_at)
        with HeldJob(self._ports.jobs, job, lease, self._patience) as held:
            begin = _PASSES[job.kind]
            ended = begin(self._ports, held, self._patience, stop or threading.Event()).to_the_end()
        self._ports.on_end(ended)
        return ended

    def serve(self, stop: threading.Event, *, wake: threading.Event | None = None, poll: float = 1.0) -> None:
        """Run jobs until `stop` is set. `wake` (set at an invocation) ends the wait for the next look at the store."""
        outage = Outage(_log, self._owner)
        while not stop.is_set():
            if wake is not None:
                wake.clear()  # before the look: an invocation during it must not be forgotten
            try:
                found = self.run_one(stop)
                outage.over()
                if found is not None:
                    continue
            except LeaseLost as lost:
                _log.warning("%s: %s", self._owner, lost)
            except TryAgain as away:
                outage.away(away)
            except Exception:
                _log.exception("%s: the runner failed; it goes on with the next look at the store", self._owner)
            (wake or stop).wait(poll)
