"""One claim's way with a job, from wherever it stands to its end: what is the same for every kind of job."""

from __future__ import annotations

import logging
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scoring.deployment import Deployment
from scoring.errors import Conflict, InvalidInput, JobFailed, LeaseLost, NoInstance, NotFound, TryAgain
from scoring.held_job import HeldJob, Patience
from scoring.job import Job, JobInput, JobStatus
from scoring.job_log import JobLog
from scoring.manifest import Manifest
from scoring.minibatch import InputItem
from scoring.pipeline.step_ports import NO_STEPS, StepPorts
from scoring.ports import Catalog, Clock, ComputeBackend, InputReader, JobFinisher, JobStore, OutputSink

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunnerPorts:
    """What a runner needs. `sinks` gives the places that a job's rows go to, in the order of commit.

    jobs_folder  each job's files lie in a folder of its name below it
    split        cuts items that are larger than a mini-batch into slices, where the deployment allows it
    prepare      makes the environment of a job before its workers start; gives in words what it has otherwise than
                 asked. Gets the job, its folder, who takes in words what is being done, and what to call often, as it
                 raises when the job is to stop
    steps        what commands and steps of pipelines need beside
    on_end       told of every job that a runner has brought to its end, or let go
    crowded      clusters on which a job waits for an instance already, with a runner or in the queue: a runner takes no
                 other one to wait with it
    """

    jobs: JobStore
    catalog: Catalog
    reader: InputReader
    compute: ComputeBackend
    sinks: Callable[[Job], Sequence[OutputSink]]
    finisher: JobFinisher
    clock: Clock
    jobs_folder: Path
    split: Callable[[Deployment, JobInput, Sequence[InputItem]], Sequence[InputItem]] = lambda _, __, items: items
    prepare: Callable[[Job, Path, Callable[[str], None], Callable[[], None]], Sequence[str]] = lambda *_: ()
    steps: StepPorts = NO_STEPS
    on_end: Callable[[Job], None] = lambda job: None
    crowded: Callable[[], Collection[str]] = lambda: ()


class Canceled(Exception):
    """A cancel was asked for."""


class Stopped(Exception):
    """This process is to end; the job is not."""


class JobPass(ABC):
    """`work` is the job's own part; what it raises ends the job, or lets it go, here."""

    def __init__(self, ports: RunnerPorts, held: HeldJob, patience: Patience, stop: threading.Event) -> None:
        self._ports = ports
        self._held = held
        self._patience = patience
        self._stop = stop
        self._folder = ports.jobs_folder / held.job.name
        self._log = JobLog(self._folder, ports.clock.now)

    @abstractmethod
    def work(self) -> Job:
        """Bring the job to its good end. Called again, by another claim, it goes on from what is stored."""

    def to_the_end(self) -> Job:
        try:
            self._stop_if_canceled()
            if self._held.job.lease_epoch > self._patience.max_claims:
                raise JobFailed(f"given up: {self._patience.max_claims} runners began this job and none ended it")
            self._folder.mkdir(parents=True, exist_ok=True)
            return self.work()
        except Canceled:
            return self._end(JobStatus.CANCELED, "canceled by request")
        except Stopped:
            return self._held.let_go()
        except NoInstance as reason:
            return self._left_in_the_queue(str(reason))
        except (LeaseLost, TryAgain):
            raise
        except JobFailed as failed:
            return self._end(JobStatus.FAILED, str(failed), error=failed.user_traceback)
        except (InvalidInput, NotFound, Conflict) as refused:
            return self._end(JobStatus.FAILED, str(refused))
        except Exception as bug:
            _log.exception("job %s failed by an error of tidemill itself", self._held.job.name)
            self._log.own_error(traceback.format_exc())
            return self._end(JobStatus.FAILED, f"tidemill itself failed: {type(bug).__name__}: {bug}")

    def _left_in_the_queue(self, reason: str) -> Job:
        job = self._held.job
        if job.status is not JobStatus.CANCEL_REQUESTED:
            waits = job.may_move(JobStatus.PROVISIONING)
            moved = job.moved(JobStatus.PROVISIONING, reason=reason) if waits else replace(job, status_reason=reason)
            self._log.state(self._held.save(moved))
        return self._held.let_go()

    def _make_environment(self) -> None:
        def tell(words: str) -> None:
            said = replace(self._held.job, status_reason=f"preparing the environment: {words}")
            self._log.state(self._held.save(said))

        def check() -> None:
            self._held.check()
            self._stop_if_canceled()
            if self._stop.is_set():
                raise Stopped

        notes = self._ports.prepare(self._held.job, self._folder, tell, check)
        if tuple(notes) != self._held.job.notes:
            self._held.save(replace(self._held.job, notes=tuple(notes)))
            tell("ready; " + "; ".join(notes))

    def _save(
        self,
        status: JobStatus,
        reason: str,
        *,
        job: Job | None = None,
        manifest: Manifest | None = None,
        started: bool = False,
    ) -> None:
        job = job or self._held.job
        if started and job.started_at is None:
            job = replace(job, started_at=self._ports.clock.now())
        moved = replace(job, status_reason=reason) if job.status is status else job.moved(status, reason=reason)
        self._log.state(self._held.save(moved, manifest=manifest))
        self._stop_if_canceled()

    def _stop_if_canceled(self) -> None:
        if self._held.job.status is JobStatus.CANCEL_REQUESTED:
            raise Canceled

    def _end(self, status: JobStatus, reason: str, *, error: str | None = None) -> Job:
        job = self._held.job
        if job.status.is_terminal:
            return job
        if status is JobStatus.FAILED and job.status is JobStatus.CANCEL_REQUESTED:
            status = JobStatus.CANCELED  # it was to end anyway, and whoever canceled it looks for that word
        ended = replace(job.moved(status, reason=reason), error=error or job.error, ended_at=self._ports.clock.now())
        self._log.result(ended)
        stored = self._held.save(ended)
        if stored.status is JobStatus.CANCEL_REQUESTED:
            return self._end(JobStatus.CANCELED, "canceled by request")
        return stored
