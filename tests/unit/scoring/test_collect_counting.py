"""Counting and thresholds, rule by rule, as Azure's batch endpoints have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scoring.collect import final_reason, threshold_reason
from scoring.compute.inline import InlineCompute
from scoring.deployment import OutputAction
from scoring.job import Job, JobInputType, JobStatus
from scoring.mini_batch_size import MiniBatchSize
from scoring.minibatch import InputItem, MiniBatch
from scoring.plan import plan, planned_items
from tests.contract.engine import Engine
from tests.contract.values import a_deployment


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def scored(engine: Engine, returns: Any, *, files: int = 6, **deployment: Any) -> Job:
    """A job of `files` files in mini-batches of two; `returns` is what run() returns, or raises."""

    def run(mini_batch: MiniBatch) -> Any:
        found = returns(mini_batch) if callable(returns) else returns
        if isinstance(found, Exception):
            raise found
        return found

    engine.deploy(**{"max_retries": 1, **deployment})
    engine.files(files)
    engine.invoke()
    job = engine.runner(InlineCompute(run)).run_one()
    assert job is not None
    return job


def counts(job: Job) -> tuple[int, int, int]:
    return job.progress.items, job.progress.items_succeeded, job.progress.items_failed


def test_the_unit_is_a_file_or_a_row() -> None:
    files = [InputItem(uri=f"/{n}", size_bytes=1) for n in range(3)]
    parts = [InputItem(uri=f"/{n}", size_bytes=1, rows=50) for n in range(3)]
    assert planned_items(plan(JobInputType.URI_FOLDER, files, MiniBatchSize(number=9))[0]) == 3
    assert planned_items(plan(JobInputType.TABLE, parts, MiniBatchSize(number=900))[0]) == 150


@pytest.mark.parametrize(
    ("returned", "expected", "lines"),
    [
        (["a", "b"], (6, 6, 0), 6),
        (("a", "b"), (6, 6, 0), 6),
        (pd.DataFrame({"x": [1, 2]}), (6, 6, 0), 6),
        (["a"], (6, 3, 3), 3),
        (["a", "b", "c"], (6, 6, 0), 9),  # surplus rows are written, and not counted
        ([None, float("nan")], (6, 6, 0), 6),  # whatever a row says, it stands for an item
    ],
)
def test_a_returned_row_stands_for_an_item(
    engine: Engine, returned: Any, expected: tuple[int, int, int], lines: int
) -> None:
    job = scored(engine, returned)
    assert job.status is JobStatus.COMPLETED
    assert counts(job) == expected
    assert len(engine.sink.rows[job.name]) == lines


@pytest.mark.parametrize("returned", [None, "text", {"a": 1}, pd.Series([1, 2]), iter([1, 2]), 7])
def test_what_is_no_list_tuple_or_frame_fails_the_mini_batch_with_all_its_items(engine: Engine, returned: Any) -> None:
    job = scored(engine, lambda m: returned if m.index == 0 else ["a", "b"])
    assert job.status is JobStatus.COMPLETED
    assert counts(job) == (6, 4, 2)


@pytest.mark.parametrize("returned", [[], pd.DataFrame()])
def test_an_empty_result_fails_its_items_and_not_its_mini_batch(engine: Engine, returned: Any) -> None:
    job = scored(engine, lambda m: returned if m.index == 0 else ["a", "b"])
    assert counts(job) == (6, 4, 2)
    _, results = engine.jobs.manifest(job)
    assert {result.outcome.value for result in results} == {"succeeded"}


def test_a_mini_batch_that_raised_in_its_last_try_counts_all_its_items_as_failed(engine: Engine) -> None:
    job = scored(engine, lambda m: ValueError("x") if m.index == 1 else ["a", "b"], max_retries=3)
    assert counts(job) == (6, 4, 2)
    assert job.progress.retries == 2


@pytest.mark.parametrize(
    ("threshold", "failed", "stops"), [(0, 0, False), (0, 1, True), (2, 2, False), (2, 3, True), (-1, 10**6, False)]
)
def test_the_threshold_is_passed_by_more_failed_items_than_it_says(threshold: int, failed: int, stops: bool) -> None:
    assert (threshold_reason(a_deployment(error_threshold=threshold), failed) is not None) is stops


def test_the_job_stops_as_soon_as_the_threshold_is_passed(engine: Engine) -> None:
    seen = []
    job = scored(engine, lambda m: seen.append(m.index) or ["a"], files=20, error_threshold=2)
    assert job.status is JobStatus.FAILED
    assert "3 items failed, error_threshold allows 2" in str(job.status_reason)
    assert len(seen) == 3


@pytest.mark.parametrize("returned", [[], ValueError("x")])
def test_a_job_in_which_nothing_succeeded_fails_even_at_minus_one(engine: Engine, returned: Any) -> None:
    job = scored(engine, returned)
    assert job.status is JobStatus.FAILED
    assert "no item succeeded" in str(job.status_reason)


def test_with_summary_only_nothing_returned_is_no_failure(engine: Engine) -> None:
    job = scored(engine, [], output_action=OutputAction.SUMMARY_ONLY)
    assert job.status is JobStatus.COMPLETED
    assert counts(job) == (6, 0, 6)
    assert final_reason(job.deployment, job.progress) is None


def test_otherwise_a_job_completes_with_failed_items_and_says_how_many(engine: Engine) -> None:
    job = scored(engine, lambda m: ValueError("x") if m.index else ["a", "b"])
    assert job.status is JobStatus.COMPLETED
    assert "2 of 6 items succeeded in 3 mini-batches, 4 failed" in str(job.status_reason)


def test_an_input_without_files_fails_the_job(engine: Engine) -> None:
    job = scored(engine, ["a"], files=0)
    assert job.status is JobStatus.FAILED
    assert "has no files to score" in str(job.status_reason)
