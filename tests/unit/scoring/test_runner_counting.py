"""What counts as a success, and which failures a job bears: Azure's rules, one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scoring.compute.inline import InlineCompute
from scoring.deployment import OutputAction, RetrySettings
from scoring.job import Job, JobStatus
from scoring.minibatch import MiniBatch, MiniBatchOutcome
from tests.contract.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def run(engine: Engine, score: Any, *, files: int, **deployment: Any) -> Job:
    engine.deploy(**{"mini_batch_size": 2, "retry_settings": RetrySettings(max_retries=1, timeout=30), **deployment})
    engine.files(files)
    engine.invoke()
    ended = engine.runner(InlineCompute(score)).run_one()
    assert ended is not None
    return ended


def rows(count: int) -> Any:
    return lambda mini_batch: ["row"] * count


def fails_on(*indexes: int) -> Any:
    def score(mini_batch: MiniBatch) -> list[str]:
        if mini_batch.index in indexes:
            raise ValueError(f"mini-batch {mini_batch.index}")
        return ["row"] * len(mini_batch.items)

    return score


def counts(job: Job) -> tuple[int, int, int]:
    return job.progress.items, job.progress.items_succeeded, job.progress.items_failed


def test_one_item_is_one_file_and_each_returned_row_stands_for_one(engine: Engine) -> None:
    job = run(engine, rows(1), files=5)
    assert counts(job) == (5, 3, 2)
    assert job.status is JobStatus.COMPLETED


def test_surplus_rows_are_written_and_not_counted_with_a_warning(engine: Engine) -> None:
    job = run(engine, rows(3), files=4)
    assert counts(job) == (4, 4, 0)
    assert len(engine.sink.rows[job.name]) == 6
    log = engine.folder / "jobs" / job.name / "logs" / "sys" / "master_role.txt"
    assert log.read_text().count("warning: 3 rows for 2 items, all of them are written") == 2


def test_an_empty_list_fails_its_items_but_not_its_mini_batch(engine: Engine) -> None:
    job = run(engine, lambda m: [] if m.index == 0 else ["a", "b"], files=4)
    _, results = engine.jobs.manifest(job)
    assert {r.outcome for r in results} == {MiniBatchOutcome.SUCCEEDED}
    assert counts(job) == (4, 2, 2)
    assert job.progress.retries == 0


def test_a_mini_batch_that_raises_to_the_end_fails_all_its_items(engine: Engine) -> None:
    job = run(engine, fails_on(1), files=6)
    assert counts(job) == (6, 4, 2)
    assert job.status is JobStatus.COMPLETED  # error_threshold -1 bears all but everything
    assert len(engine.sink.rows[job.name]) == 4


@pytest.mark.parametrize(
    ("threshold", "status", "scored"),
    [
        (-1, JobStatus.COMPLETED, 5),
        (0, JobStatus.FAILED, 1),  # the first failed item is one too many
        (1, JobStatus.FAILED, 1),
        (2, JobStatus.FAILED, 3),
        (3, JobStatus.FAILED, 3),
        (4, JobStatus.COMPLETED, 5),  # as many as allowed are allowed
    ],
)
def test_the_job_ends_as_soon_as_more_items_failed_than_allowed(
    engine: Engine, threshold: int, status: JobStatus, scored: int
) -> None:
    called: list[int] = []

    def score(mini_batch: MiniBatch) -> list[str]:
        called.append(mini_batch.index)
        return list(fails_on(0, 2)(mini_batch))

    job = run(engine, score, files=10, error_threshold=threshold)
    assert (job.status, len(called)) == (status, scored)
    if status is JobStatus.FAILED:
        failed = 2 if scored == 1 else 4
        assert f"{failed} items failed, error_threshold allows {threshold}" in str(job.status_reason)
        assert "first: ValueError: mini-batch 0" in str(job.status_reason)
        assert "ValueError: mini-batch 0" in str(job.error)


def test_with_append_row_nothing_at_all_is_a_failure_even_where_all_is_allowed(engine: Engine) -> None:
    job = run(engine, rows(0), files=3, error_threshold=-1)
    assert (job.status, counts(job)) == (JobStatus.FAILED, (3, 0, 3))
    assert "run() returned no row for any of 3 items" in str(job.status_reason)


def test_with_summary_only_it_is_none(engine: Engine) -> None:
    job = run(engine, rows(0), files=3, error_threshold=-1, output_action=OutputAction.SUMMARY_ONLY)
    assert job.status is JobStatus.COMPLETED


def test_one_row_in_all_is_enough(engine: Engine) -> None:
    job = run(engine, lambda m: ["row"] if m.index == 2 else [], files=6)
    assert (job.status, counts(job)) == (JobStatus.COMPLETED, (6, 1, 5))


@pytest.mark.parametrize("tries", [1, 2, 3, 5])
def test_max_retries_is_the_number_of_all_tries(engine: Engine, tries: int) -> None:
    called: Counter[int] = Counter()

    def score(mini_batch: MiniBatch) -> list[str]:
        called[mini_batch.index] += 1
        return list(fails_on(0)(mini_batch))

    job = run(engine, score, files=4, retry_settings=RetrySettings(max_retries=tries, timeout=30))
    assert called == Counter({0: tries, 1: 1})
    assert job.progress.retries == tries - 1


def test_the_last_try_may_still_succeed(engine: Engine) -> None:
    called: Counter[int] = Counter()

    def score(mini_batch: MiniBatch) -> list[str]:
        called[mini_batch.index] += 1
        if called[mini_batch.index] < 3:
            raise ValueError("not yet")
        return ["row"] * len(mini_batch.items)

    job = run(engine, score, files=4, error_threshold=0, retry_settings=RetrySettings(max_retries=3, timeout=30))
    assert (job.status, counts(job), job.error) == (JobStatus.COMPLETED, (4, 4, 0), None)


@pytest.mark.parametrize("returned", [None, "text", 7, iter(["row", "row"]), {"a": 1}])
def test_what_is_neither_list_nor_frame_fails_the_mini_batch(engine: Engine, returned: Any) -> None:
    job = run(engine, lambda m: returned if m.index else ["row", "row"], files=4)
    assert counts(job) == (4, 2, 2)


def test_after_the_end_a_retry_counts_from_what_is_kept(engine: Engine) -> None:
    from scoring.reopening import retried

    job = run(engine, fails_on(0, 1), files=6, error_threshold=-1)
    assert counts(job) == (6, 2, 4)
    engine.jobs.reopen(job.name, retried)
    called: list[int] = []

    def score(mini_batch: MiniBatch) -> list[str]:
        called.append(mini_batch.index)
        return list(fails_on(1)(mini_batch))

    again = engine.runner(InlineCompute(score)).run_one()
    assert again is not None
    assert len(engine.sink.rows[job.name]) == 4
    assert (again.status, counts(again), sorted(called), again.round) == (JobStatus.COMPLETED, (6, 4, 2), [0, 1], 1)
