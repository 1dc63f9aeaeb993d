"""An ended job taken up again: what is kept of it, and what is scored once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scoring import collect
from scoring.errors import Conflict
from scoring.job import Job, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchResult


@dataclass(frozen=True, kw_only=True)
class Reopening:
    """The job as Queued again, and the indexes of the mini-batches whose end is forgotten.

    A job that has not ended is left as it is: `job` None.
    """

    job: Job | None
    forgotten: tuple[int, ...] = ()


Decision = Callable[[Job, Manifest | None, Sequence[MiniBatchResult]], Reopening]
"""Called by a store with the job, its manifest and its results, all locked."""


def resumed(job: Job, manifest: Manifest | None, results: Sequence[MiniBatchResult]) -> Reopening:
    """A Failed or Canceled job goes on with what has not ended.

    Where the failed mini-batches alone would end it again (error_threshold, or nothing succeeded), they are scored
    again too. Raises Conflict for a Completed job.
    """
    if not job.status.is_terminal:
        return Reopening(job=None)
    if job.status is JobStatus.COMPLETED:
        raise Conflict(f"job {job.name} is Completed, nothing is left; retry-failed scores failed mini-batches again")
    forgotten: tuple[int, ...] = ()
    if manifest is not None and _would_fail_again(job, manifest, results):
        forgotten = _failed(results)
    return Reopening(job=_again(job, manifest, results, forgotten, "resumed"), forgotten=forgotten)


def retried(job: Job, manifest: Manifest | None, results: Sequence[MiniBatchResult]) -> Reopening:
    """An ended job scores every mini-batch with failed items again; their new rows take the place of the old.

    What has not ended is scored as well: a job completes with all or not at all. Raises Conflict where nothing failed
    and for a job that has not ended.
    """
    if not job.status.is_terminal:
        raise Conflict(f"job {job.name} is {job.status}; failed mini-batches are scored again once it has ended")
    forgotten = _failed(results)
    if not forgotten:
        raise Conflict(f"no mini-batch of job {job.name} failed; there is nothing to score again")
    return Reopening(job=_again(job, manifest, results, forgotten, "failed mini-batches again"), forgotten=forgotten)


def refuse_overlap(job: Job, newest: Job) -> None:
    """Raises Conflict for an incremental job of a schedule that is not its `newest`: a later one covers its rows too.

    While the newest goes on, the schedule makes no other.
    """
    covered = job.status in {JobStatus.FAILED, JobStatus.CANCELED} and job.input.incremental
    if covered and job.schedule_name is not None and newest.name != job.name:
        raise Conflict(
            f"job {newest.name} of schedule {job.schedule_name} came after job {job.name} and covers what was new "
            "then too; its rows would be scored twice"
        )


def _would_fail_again(job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> bool:
    counted = collect.progress(manifest, results)
    if collect.threshold_reason(job.deployment, counted.items_failed, counted.mini_batches_failed) is not None:
        return True
    return (
        not manifest.remaining([r.index for r in results]) and collect.final_reason(job.deployment, counted) is not None
    )


def _failed(results: Sequence[MiniBatchResult]) -> tuple[int, ...]:
    return tuple(sorted(result.index for result in results if result.failed > 0))


def _again(
    job: Job, manifest: Manifest | None, results: Sequence[MiniBatchResult], forgotten: tuple[int, ...], why: str
) -> Job:
    kept = [result for result in results if result.index not in set(forgotten)]
    left = "" if manifest is None else f": {len(manifest.mini_batches) - len(kept)} mini-batches to score"
    return replace(
        job,
        status=JobStatus.QUEUED,
        status_reason=f"{why}{left}",
        error=None,
        ended_at=None,
        round=job.round + 1,
        progress=job.progress if manifest is None else collect.progress(manifest, kept),
        # whoever held it before its end may still wake up and write
        lease_epoch=job.lease_epoch + 1,
        lease_owner=None,
        lease_until=None,
    )
