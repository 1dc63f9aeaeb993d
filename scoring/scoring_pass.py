"""One claim's way with a job of mini-batches: plans it, has it scored, commits its rows.

    claim -> Preparing: check the output, freeze the input, list it, snapshot static data, store the manifest
          -> Running: score what has not ended yet; record each end; renew the lease meanwhile
          -> Finalizing: every sink commits once; the finisher's transaction completes the job

A crash at any point is followed by another claim, which goes on from what is stored: the manifest is never planned
twice, a mini-batch that has ended is never scored again, a sink that has committed commits nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from scoring import collect, no_code
from scoring.compute.news import ComputeNews
from scoring.errors import JobFailed, NoInstance
from scoring.job import Job, JobInputType, JobStatus, JobUsage
from scoring.job_pass import JobPass, Stopped
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.model import NO_MODEL
from scoring.pace import Pace
from scoring.plan import largest_first, plan
from scoring.ports import OutputSink

_RECORD_SECONDS = 0.2
_RECORD_COUNT = 256
_PACE_SECONDS = 5.0


@dataclass(kw_only=True)
class _Counted:
    """Results of the job so far, by index, and those not yet written to the store."""

    results: dict[int, MiniBatchResult] = field(default_factory=dict)
    unwritten: list[MiniBatchResult] = field(default_factory=list)
    written_at: float = 0.0
    items_failed: int = 0
    mini_batches_failed: int = 0
    pace: Pace
    usage_before: JobUsage = field(default_factory=JobUsage)
    usage: JobUsage = field(default_factory=JobUsage)


class ScoringPass(JobPass):
    """One claim's way with a job of mini-batches."""

    def work(self) -> Job:
        sinks = self._ports.sinks(self._held.job)
        manifest, results = self._held.patiently(lambda: self._ports.jobs.manifest(self._held.job))
        if manifest is None:
            manifest, results = self._prepared(sinks), []
        if self._held.job.status is not JobStatus.FINALIZING:
            self._score(manifest, results)
        return self._finalize(sinks, manifest)

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
            mini_batches_failed=sum(result.outcome is MiniBatchOutcome.FAILED for result in stored),
            pace=Pace(sum(result.items for result in stored), time.monotonic()),
            usage_before=self._held.job.usage,
        )
        if self._held.job.status is JobStatus.QUEUED:
            self._save(JobStatus.PREPARING, "going on with what is left")
        remaining = manifest.remaining(counted.results)
        if remaining:
            self._make_environment()
            self._compute(manifest, counted, largest_first(remaining), self._model_path())
        self._stop_if_canceled()
        if self._stop.is_set():
            raise Stopped
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

    def _model_path(self) -> str:
        model = self._held.job.deployment.model
        if model == NO_MODEL:
            return ""
        return self._held.patiently(lambda: self._ports.catalog.model(model.name, model.version)).path

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
        except (JobFailed, NoInstance):
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
        counted.mini_batches_failed += result.outcome is MiniBatchOutcome.FAILED
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
        over = self._time_is_over()
        if over is not None:
            raise JobFailed(over)
        return collect.threshold_reason(self._held.job.deployment, counted.items_failed, counted.mini_batches_failed)

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

    def _time_is_over(self) -> str | None:
        """Why the job as a whole has taken too long, if so."""
        return None

    def _committed(self) -> None:
        """The output is written; called again after a crash."""

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
        self._committed()
        ended = replace(self._held.job, status_reason=collect.summary(progress), ended_at=self._ports.clock.now())
        self._held.save(ended)
        # before the store says so: who sees the job's end finds its files whole
        self._log.result(replace(ended, status=JobStatus.COMPLETED))
        return self._held.finish(self._ports.finisher, manifest, results)
