"""Counting, thresholds, verdicts; where rows lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.collect import (
    final_reason,
    first_error,
    first_traceback,
    in_order,
    output_paths,
    prediction_paths,
    progress,
    succeeded_items,
    summary,
    threshold_reason,
    wants_predictions,
    wants_text,
)
from scoring.deployment import CodeConfiguration, Deployment, OutputAction
from scoring.errors import JobFailed
from scoring.job import Job, JobInput, JobInputType, JobOutput, JobProgress
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.model import ModelReference


def deployment(**changes: Any) -> Deployment:
    fields: dict[str, Any] = {
        "name": "blue",
        "endpoint_name": "pumps",
        "model": ModelReference(name="net", version="1"),
        "code_configuration": CodeConfiguration(code="/code", scoring_script="score.py"),
        "compute": "cluster",
    }
    return Deployment(**{**fields, **changes})


def result(index: int, items: int, succeeded: int, **changes: Any) -> MiniBatchResult:
    fields: dict[str, Any] = {
        "index": index,
        "outcome": MiniBatchOutcome.SUCCEEDED,
        "items": items,
        "succeeded": succeeded,
        "failed": items - succeeded,
        "tries": 1,
        "seconds": 0.1,
    }
    return MiniBatchResult(**{**fields, **changes})


def manifest(*sizes: int) -> Manifest:
    return Manifest(
        job_name="j",
        mini_batches=tuple(
            MiniBatch(index=n, items=tuple(InputItem(uri=f"/{n}/{i}", size_bytes=1) for i in range(size)))
            for n, size in enumerate(sizes)
        ),
    )


def test_each_returned_row_stands_for_an_item_and_surplus_rows_for_none() -> None:
    assert succeeded_items(returned=3, items=5) == 3
    assert succeeded_items(returned=9, items=5) == 5
    assert succeeded_items(returned=0, items=5) == 0


def test_progress_counts_what_ended_as_it_ended_and_the_rest_as_planned() -> None:
    # a table's mini-batch planned with 10 rows may be 4 items after its pivot
    found = progress(manifest(10, 10, 10), [result(2, 4, 3, tries=3), result(0, 10, 10)])
    assert found == JobProgress(
        mini_batches=3, mini_batches_done=2, items=24, items_succeeded=13, items_failed=1, retries=2
    )


def test_the_threshold_is_the_number_that_is_still_borne() -> None:
    assert threshold_reason(deployment(error_threshold=2), 2) is None
    assert threshold_reason(deployment(error_threshold=2), 3) == "3 items failed, error_threshold allows 2"
    assert threshold_reason(deployment(error_threshold=0), 1) is not None
    assert threshold_reason(deployment(error_threshold=-1), 10**9) is None
    assert threshold_reason(deployment(mini_batch_error_threshold=1), 50, 1) is None
    reason = "2 mini-batches failed, mini_batch_error_threshold allows 1"
    assert threshold_reason(deployment(mini_batch_error_threshold=1), 50, 2) == reason


def test_append_row_without_a_single_success_fails_even_at_minus_one() -> None:
    nothing = JobProgress(items=4, items_failed=4)
    assert final_reason(deployment(), nothing) == "no item succeeded: run() returned no row for any of 4 items"
    assert final_reason(deployment(output_action=OutputAction.SUMMARY_ONLY), nothing) is None
    assert final_reason(deployment(), JobProgress(items=4, items_succeeded=1, items_failed=3)) is None


def test_a_job_with_nothing_to_score_is_no_failure() -> None:
    assert final_reason(deployment(), JobProgress()) is None


def test_the_first_failure_that_says_something_is_shown() -> None:
    failed = MiniBatchOutcome.FAILED
    results = [
        result(0, 1, 1, traceback="of a success"),
        result(1, 1, 0, outcome=failed),
        result(2, 1, 0, outcome=failed, traceback="second", error="two"),
        result(3, 1, 0, outcome=failed, traceback="third", error="three"),
    ]
    assert first_traceback(results) == "second"
    assert first_error(results) == "two"
    assert first_traceback([]) is None


def test_results_come_in_the_order_of_the_manifest() -> None:
    assert [r.index for r in in_order([result(2, 1, 1), result(0, 1, 1), result(1, 1, 1)])] == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "output", "action", "text", "predictions"),
    [
        (JobInputType.URI_FOLDER, JobOutput(), OutputAction.APPEND_ROW, True, False),
        (JobInputType.URI_FILE, JobOutput(predictions=True), OutputAction.SUMMARY_ONLY, False, True),
        (JobInputType.TABLE, JobOutput(), OutputAction.APPEND_ROW, True, True),
    ],
)
def test_which_files_a_job_needs(
    kind: JobInputType, output: JobOutput, action: OutputAction, text: bool, predictions: bool
) -> None:
    job = Job(
        name="j",
        endpoint_name="pumps",
        deployment=deployment(output_action=action),
        input=JobInput(type=kind, path="/x"),
        output=output,
    )
    assert (wants_text(job), wants_predictions(job)) == (text, predictions)


def test_rows_are_found_beside_the_named_file(tmp_path: Path) -> None:
    stem = tmp_path / "000001.e1.2"
    (tmp_path / "000001.e1.2.txt").touch()
    (tmp_path / "000001.e1.2.jsonl").touch()
    found = result(1, 1, 1, rows_path=f"{stem}.txt")
    assert output_paths(found) == [tmp_path / "000001.e1.2.txt"]
    assert prediction_paths(found) == [tmp_path / "000001.e1.2.jsonl"]
    assert output_paths(result(1, 1, 1)) == []


def test_the_parts_of_a_divided_mini_batch_are_found_in_their_order(tmp_path: Path) -> None:
    stems = [str(tmp_path / f"000001.e1.{name}.rows") for name in ("4", "3")]
    for stem in stems:
        Path(stem).touch()
    assert output_paths(result(1, 1, 1, rows_path=stems[0], parts=tuple(stems))) == [Path(stem) for stem in stems]


def test_a_result_file_that_is_gone_stops_the_job_by_name(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="the result file of mini-batch 1 is gone"):
        prediction_paths(result(1, 1, 1, rows_path=str(tmp_path / "other.e1.1.txt")))


def test_the_summary_names_what_went_wrong_only_if_something_did() -> None:
    assert summary(JobProgress(mini_batches=2, items=9, items_succeeded=9)) == (
        "9 of 9 items succeeded in 2 mini-batches"
    )
    assert summary(JobProgress(mini_batches=2, items=9, items_succeeded=7, items_failed=2, retries=4)) == (
        "7 of 9 items succeeded in 2 mini-batches, 2 failed, 4 tries repeated"
    )
