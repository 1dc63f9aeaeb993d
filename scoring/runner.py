"""The engine: takes a queued job under a lease, plans it, has it scored, commits its rows, ends it.

    claim -> Preparing: check the output, freeze the input, list it, snapshot static data, store the manifest
          -> Running: score what has not ended yet; record each end; renew the lease meanwhile
          -> Finalizing: every sink commits once; the finisher's transaction completes the job

A crash at any point is followed by another claim, which goes on from what is stored: the manifest is never planned
twice, a mini-batch that has ended is never scored again, a sink that has committed commits nothing.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scoring import collect, no_code
from scoring.compute.news import ComputeNews
from scoring.deployment import Deployment
from scoring.errors import Conflict, InvalidInput, JobFailed, LeaseLost, NotFound, TryAgain
from scoring.held_job import HeldJob, Patience
from scoring.job import Job, JobInput, JobInputType, JobStatus, JobUsage
from scoring.job_log import JobLog
from scoring.lease import Lease
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchResult
from scoring.outage import Outage
from scoring.pace import Pace
from scoring.plan import largest_first, plan
from scoring.ports import Catalog, Clock, ComputeBackend, InputReader, JobFinisher, JobStore, OutputSink

__all__ = ["Patience", "Runner", "RunnerPorts"]

_log = logging.getLogger(__name__)

_RECORD_SECONDS = 0.2
_RECORD_COUNT = 256
_PACE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class RunnerPorts:
    """What a runner needs. `sinks` gives the places that a job's rows go to, in the order of commit.

    jobs_folder  each job's files lie in a folder of its name below it
    split        cuts items that are larger than a mini-batch into slices, where the deployment allows it
    prepare      makes the environment of a job before its workers start; gives in words what it has otherwise than
                 asked. Gets the job, its folder, who takes in words what is being done, and what to call often, as it
                 raises when the job is to stop
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
        job = self._ports.jobs.claim(self._owner, self._patience.lease)
        if job is None:
            return None
        lease = Lease(length=self._patience.lease, asked_at=asked_at)
        with HeldJob(self._ports.jobs, job, lease, self._patience) as held:
            return _Pass(self._ports, held, self._patience, stop or threading.Event()).to_the_end()

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


@dataclass(kw_only=True)
class _Counted:
    """Results of the job so far, by index, and those not yet written to the store."""

    results: dict[int, MiniBatchResult] = field(default_factory=dict)
    unwritten: list[MiniBatchResult] = field(default_factory=list)
    written_at: float = 0.0
    items_failed: int = 0
    pace: Pace
    usage_before: JobUsage = field(default_factory=JobUsage)
    usage: JobUsage = field(default_factory=JobUsage)


class _Canceled(Exception):
    """A cancel was asked for."""


class _Stopped(Exception):
    """This process is to end; the job is not."""


class _Pass:
    """One claim's way with a job, from wherever it stands to its end."""

    def __init__(self, ports: RunnerPorts, held: HeldJob, patience: Patience, stop: threading.Event) -> None:
        self._ports = ports
        self._held = held
        self._patience = patience
        self._stop = stop
        self._folder = ports.jobs_folder / held.job.name
        self._log = JobLog(self._folder, ports.clock.now)

    def to_the_end(self) -> Job:
        try:
            self._stop_if_canceled()
            if self._held.job.lease_epoch > self._patience.max_claims:
                raise JobFailed(f"given up: {self._patience.max_claims} runners began this job and none ended it")
            self._folder.mkdir(parents=True, exist_ok=True)
            sinks = self._ports.sinks(self._held.job)
            manifest, results = self._held.patiently(lambda: self._ports.jobs.manifest(self._held.job))
            if manifest is None:
                manifest, results = self._prepared(sinks), []
            if self._held.job.status is not JobStatus.FINALIZING:
                self._score(manifest, results)
            return self._finalize(sinks, manifest)
        except _Canceled:
            return self._end(JobStatus.CANCELED, "canceled by request")
        except _Stopped:
            return self._held.let_go()
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

    # --- Preparing ----------------------------------------------------------------------------------------------

    def _prepared(self, sinks: Sequence[OutputSink]) -> Manifest:
        self._save(JobStatus.PREPARING, "listing the input", started=True)
        began = time.monotonic()
        job, reader = self._held.job, self._ports.reader
        for sink in sinks:
            self._held.patiently(lambda sink=sink: sink.check(job))  # type: ignore[misc]
        frozen = self._held.patiently(lambda: reader.resolve(job.input))
        items = self._held.patiently(lambda: reader.items(frozen))
        if not items and not (frozen.type is JobInputType.TABLE and frozen.incremental):
            raise JobFailed(f"the input {frozen.path} has no files to score")
        if job.deployment.code_configuration is None:
            no_code.check_files(items)
        self._stop_if_canceled()
        items = self._ports.split(job.deployment, frozen, items)
        static = self._held.patiently(lambda: reader.snapshot(frozen, self._folder / "static"))
        manifest = Manifest(
            job_name=job.name,
            mini_batches=plan(frozen.type, items, job.deployment.batch_size),
            from_version=frozen.from_version,
            to_version=frozen.to_version,
            static_path=None if static is None else str(static),
        )
        counted = collect.progress(manifest, [])
        planned = replace(job, input=frozen, progress=counted)
        self._save(JobStatus.PREPARING, "waiting for workers", job=planned, manifest=manifest)
        self._log.planned(manifest, counted, time.monotonic() - began)
        return manifest

    # --- Running ------------------------------------------------------------------------------------------------

    def _score(self, manifest: Manifest, stored: Sequence[MiniBatchResult]) -> None:
        counted = _Counted(
            results={result.index: result for result in stored},
            written_at=time.monotonic(),
            items_failed=sum(result.failed for result in stored),
            pace=Pace(sum(result.items for result in stored), time.monotonic()),
            usage_before=self._held.job.usage,
        )
        if self._held.job.status is JobStatus.QUEUED:
            self._save(JobStatus.PREPARING, "going on with what is left")
        remaining = manifest.remaining(counted.results)
        if remaining:
            self._make_environment()
            model = self._held.job.deployment.model
            found = self._held.patiently(lambda: self._ports.catalog.model(model.name, model.version))
            self._compute(manifest, counted, largest_first(remaining), found.path)
        self._stop_if_canceled()
        if self._stop.is_set():
            raise _Stopped
        results = list(counted.results.values())
        progress = collect.progress(manifest, results)
        deployment = self._held.job.deployment
        # stopped early by the threshold, some mini-batches have no result: the threshold is the reason to name
        reason = collect.final_reason(deployment, progress)
        if reason is not None:
            first = collect.first_error(results)
            raise JobFailed(
                reason if first is None else f"{reason}; first: {first}",
                user_traceback=collect.first_traceback(results),
            )

    def _make_environment(self) -> None:
        def tell(words: str) -> None:
            said = replace(self._held.job, status_reason=f"preparing the environment: {words}")
            self._log.state(self._held.save(said))

        def check() -> None:
            self._held.check()
            self._stop_if_canceled()
            if self._stop.is_set():
                raise _Stopped

        notes = self._ports.prepare(self._held.job, self._folder, tell, check)
        if tuple(notes) != self._held.job.notes:
            self._held.save(replace(self._held.job, notes=tuple(notes)))
            tell("ready; " + "; ".join(notes))

    def _compute(self, manifest: Manifest, counted: _Counted, remaining: Sequence[MiniBatch], model_path: str) -> None:
        try:
            self._ports.compute.run(
                self._held.job,
                remaining,
                manifest=manifest,
                model_path=model_path,
                job_folder=self._folder,
                on_result=lambda result: self._ended(manifest, counted, result),
                should_stop=lambda: self._why_stop(manifest, counted),
                on_news=lambda news: self._heard(counted, news),
            )
        except JobFailed:
            # what was scored is kept for whoever resumes the job
            self._write(manifest, counted, all_=True)
            raise
        self._write(manifest, counted, all_=True)

    def _heard(self, counted: _Counted, news: ComputeNews) -> None:
        job = self._held.job
        if news.usage is not None:
            counted.usage = news.usage
        if news.status is not None and job.may_move(news.status):
            counted.pace = Pace(sum(result.items for result in counted.results.values()), time.monotonic())
            self._log.state(self._held.save(job.moved(news.status, reason=news.phase)))
        elif news.phase not in {None, job.status_reason} and job.status is not JobStatus.CANCEL_REQUESTED:
            # such as instances that were taken away: the job is Running, and waits
            self._log.state(self._held.save(replace(job, status_reason=news.phase)))

    def _ended(self, manifest: Manifest, counted: _Counted, result: MiniBatchResult) -> None:
        if self._held.job.may_move(JobStatus.RUNNING):
            self._log.state(self._held.save(self._held.job.moved(JobStatus.RUNNING, reason="scoring")))
        counted.results[result.index] = result
        counted.unwritten.append(result)
        counted.items_failed += result.failed
        if len(counted.unwritten) >= _RECORD_COUNT:
            self._write(manifest, counted)

    def _why_stop(self, manifest: Manifest, counted: _Counted) -> str | None:
        """Asked by the compute many times a second: keeps the store up to date, and says why to stop, if so."""
        self._held.check()
        self._log.sample()
        silent = time.monotonic() - counted.written_at
        if silent > (_RECORD_SECONDS if counted.unwritten else _PACE_SECONDS):
            # without new ends too: that nothing ends any more is seen in the pace
            self._write(manifest, counted, all_=not counted.unwritten)
        if self._held.job.status is JobStatus.CANCEL_REQUESTED:
            return "a cancel was asked for"
        if self._stop.is_set():
            return "this process is to end"
        return collect.threshold_reason(self._held.job.deployment, counted.items_failed)

    def _write(self, manifest: Manifest, counted: _Counted, *, all_: bool = False) -> None:
        """Results are written in groups: a crash repeats a fraction of a second of scoring, and no more."""
        counted.written_at = time.monotonic()
        progress = collect.progress(manifest, counted.results.values())
        done = progress.items_succeeded + progress.items_failed
        progress = replace(progress, items_per_second=counted.pace.at(done, counted.written_at))
        usage = counted.usage_before.plus(counted.usage)
        if not counted.unwritten and not (
            all_ and (progress, usage) != (self._held.job.progress, self._held.job.usage)
        ):
            return
        self._held.record(counted.unwritten, replace(self._held.job, progress=progress, usage=usage))
        self._log.ended(counted.unwritten)
        self._log.progress(progress)
        counted.unwritten.clear()

    # --- Finalizing ---------------------------------------------------------------------------------------------

    def _finalize(self, sinks: Sequence[OutputSink], manifest: Manifest) -> Job:
        # what is stored counts, not what we remember: sinks and finisher of a later claim must see the same
        _, stored = self._held.patiently(lambda: self._ports.jobs.manifest(self._held.job))
        results = collect.in_order(stored)
        left = manifest.remaining([result.index for result in results])
        if left:
            raise JobFailed(f"{len(left)} mini-batches have no result, the first is {left[0].index}")
        progress = collect.progress(manifest, results)
        job = replace(self._held.job, progress=progress)
        if job.status is not JobStatus.FINALIZING:
            self._save(JobStatus.FINALIZING, "writing the output", job=job)
        for sink in sinks:
            self._held.patiently(lambda sink=sink: sink.commit(self._held.job, manifest, results))  # type: ignore[misc]
        ended = replace(self._held.job, status_reason=collect.summary(progress), ended_at=self._ports.clock.now())
        self._held.save(ended)
        # before the store says so: who sees the job's end finds its files whole
        self._log.result(replace(ended, status=JobStatus.COMPLETED))
        return self._held.finish(self._ports.finisher, manifest, results)

    # --- moves --------------------------------------------------------------------------------------------------

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
            raise _Canceled

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
