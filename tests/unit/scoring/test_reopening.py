"""What a job that is taken up again keeps, and what it does once more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scoring.errors import Conflict
from scoring.job import Job, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.reopening import refuse_overlap, resumed, retried
from tests.contract.values import NOW, a_deployment, a_job, a_result

MANIFEST = Manifest(
    job_name="job-1",
    mini_batches=tuple(
        MiniBatch(index=n, items=(InputItem(uri=f"/a{n}", size_bytes=1), InputItem(uri=f"/b{n}", size_bytes=1)))
        for n in range(4)
    ),
)


def a_failed_job(threshold: int = -1, status: JobStatus = JobStatus.FAILED) -> Job:
    job = a_job(deployment=a_deployment(error_threshold=threshold))
    return replace(
        job, status=status, status_reason="why", error="Traceback", ended_at=NOW, started_at=NOW, lease_epoch=3
    )


def succeeded(index: int, failed: int = 0) -> MiniBatchResult:
    return a_result(index, items=2, succeeded=2 - failed, failed=failed, tries=1)


def failed(index: int) -> MiniBatchResult:
    return a_result(index, outcome=MiniBatchOutcome.FAILED, items=2, succeeded=0, failed=2)


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELED])
def test_resuming_keeps_all_that_ended(status: JobStatus) -> None:
    again = resumed(a_failed_job(status=status), MANIFEST, [succeeded(0), failed(1)])
    assert again.forgotten == ()
    job = again.job
    assert job is not None
    assert (job.status, job.error, job.ended_at, job.round, job.lease_epoch) == (JobStatus.QUEUED, None, None, 1, 4)
    assert job.status_reason == "resumed: 2 mini-batches to score"
    assert (job.progress.mini_batches_done, job.progress.items, job.progress.items_failed) == (2, 8, 2)
    assert job.started_at == NOW


def test_failures_that_would_end_it_again_are_scored_again() -> None:
    again = resumed(a_failed_job(threshold=1), MANIFEST, [succeeded(0), failed(1), succeeded(2, failed=1)])
    assert again.forgotten == (1, 2)
    assert again.job is not None
    assert again.job.status_reason == "resumed: 3 mini-batches to score"


def test_where_nothing_succeeded_all_is_scored_again() -> None:
    again = resumed(a_failed_job(), MANIFEST, [failed(n) for n in range(4)])
    assert again.forgotten == (0, 1, 2, 3)


def test_a_job_that_failed_while_it_wrote_its_output_scores_nothing() -> None:
    again = resumed(a_failed_job(), MANIFEST, [succeeded(n) for n in range(4)])
    assert again.forgotten == ()
    assert again.job is not None
    assert again.job.status_reason == "resumed: 0 mini-batches to score"


def test_a_job_that_was_never_planned_is_planned() -> None:
    again = resumed(a_failed_job(), None, [])
    assert again.job is not None
    assert (again.job.status_reason, again.forgotten) == ("resumed", ())


@pytest.mark.parametrize("status", [s for s in JobStatus if not s.is_terminal])
def test_a_job_that_has_not_ended_needs_no_resuming_and_bears_no_retry(status: JobStatus) -> None:
    assert resumed(a_failed_job(status=status), MANIFEST, []).job is None
    with pytest.raises(Conflict, match="once it has ended"):
        retried(a_failed_job(status=status), MANIFEST, [failed(0)])


def test_a_completed_job_is_not_resumed() -> None:
    with pytest.raises(Conflict, match="nothing is left"):
        resumed(a_failed_job(status=JobStatus.COMPLETED), MANIFEST, [])


@pytest.mark.parametrize("status", [s for s in JobStatus if s.is_terminal])
def test_retrying_scores_every_mini_batch_with_failed_items_again(status: JobStatus) -> None:
    results = [succeeded(0), failed(1), succeeded(2, failed=1), succeeded(3)]
    again = retried(a_failed_job(status=status), MANIFEST, results)
    assert again.forgotten == (1, 2)
    assert again.job is not None
    assert again.job.status_reason == "failed mini-batches again: 2 mini-batches to score"


def test_of_an_incremental_schedule_only_the_newest_job_is_taken_up_again() -> None:
    job = replace(a_failed_job(), schedule_name="nightly")
    later = replace(job, name="job-2")
    refuse_overlap(job, job)
    with pytest.raises(Conflict, match="job job-2 of schedule nightly came after job job-1"):
        refuse_overlap(job, later)
    refuse_overlap(replace(job, input=replace(job.input, incremental=False)), later)
    # a completed one has its rows already, and scores only its own failed ones again
    refuse_overlap(replace(job, status=JobStatus.COMPLETED), later)
    refuse_overlap(replace(job, schedule_name=None), later)


def test_without_failures_there_is_nothing_to_retry() -> None:
    with pytest.raises(Conflict, match="no mini-batch of job job-1 failed"):
        retried(a_failed_job(), MANIFEST, [succeeded(0)])
