"""Values for suites: complete ones, so that what a store forgets is missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scoring.deployment import CodeConfiguration, Deployment, OutputAction, RetrySettings
from scoring.job import Job, JobInput, JobInputType, JobOutput, JobProgress, Pivot
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult, Slice, SliceKind
from scoring.model import ModelReference
from scoring.schedule import CronTrigger, Schedule

NOW = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)

TABLE_INPUT = JobInput(
    type=JobInputType.TABLE,
    path="lake://windows",
    join=("sensors", "machines"),
    pivot=Pivot(index=("machine_id", "window_start", "window_end"), columns="quantity", values=("mean", "max")),
    incremental=True,
    from_version=3,
)


def a_deployment(**changes: Any) -> Deployment:
    fields: dict[str, Any] = {
        "name": "blue",
        "endpoint_name": "pumps",
        "model": ModelReference(name="net", version="7"),
        "code_configuration": CodeConfiguration(code="/registry/code/abc", scoring_script="score.py"),
        "compute": "cluster",
        "environment": "torch-2",
        "environment_variables": {"OMP_NUM_THREADS": "1"},
        "instance_count": 2,
        "max_concurrency_per_instance": 3,
        "mini_batch_size": 500,
        "output_action": OutputAction.APPEND_ROW,
        "output_file_name": "rows.csv",
        "retry_settings": RetrySettings(max_retries=5, timeout=60),
        "error_threshold": 7,
        "logging_level": "debug",
        "description": "naïve – “quoted” \\ 漢字",
        "tags": {"a b": "c'd", "": ""},
        "properties": {"p": "q"},
        "created_at": NOW,
    }
    return Deployment(**{**fields, **changes})


def a_job(name: str = "job-1", **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "name": name,
        "endpoint_name": "pumps",
        "deployment": a_deployment(),
        "input": TABLE_INPUT,
        "output": JobOutput(path="/out", predictions=True),
        "display_name": "Pumps tonight",
        "experiment_name": "nightly",
        "tags": {"who": "me"},
        "status_reason": "waiting for a runner",
        "progress": JobProgress(),
        "trigger": "schedule",
        "created_at": NOW,
    }
    return Job(**{**fields, **changes})


def a_manifest(job_name: str = "job-1", mini_batches: int = 3) -> Manifest:
    planned = tuple(
        MiniBatch(
            index=index,
            items=(
                InputItem(uri=f"/lake/windows/date=2026-03-29/part {index}.parquet", size_bytes=10 + index, rows=6),
                InputItem(uri=f"/data/ünïcode-{index}.txt", size_bytes=0),
                InputItem(uri="/data/whole.csv", size_bytes=9, records=4),
                InputItem(
                    uri="/data/large.csv",
                    size_bytes=90,
                    slice=Slice(kind=SliceKind.BYTES, start=7 + index, end=97 + index, header=7),
                ),
                InputItem(
                    uri="/data/large.parquet",
                    size_bytes=80,
                    rows=30,
                    records=30,
                    slice=Slice(kind=SliceKind.ROWS, start=0, end=30),
                ),
            ),
        )
        for index in range(mini_batches)
    )
    return Manifest(job_name=job_name, mini_batches=planned, from_version=3, to_version=9, static_path="/jobs/static")


def a_result(index: int, **changes: Any) -> MiniBatchResult:
    fields: dict[str, Any] = {
        "index": index,
        "outcome": MiniBatchOutcome.SUCCEEDED,
        "items": 7,
        "succeeded": 6,
        "failed": 1,
        "tries": 2,
        "seconds": 0.25,
        "worker": "instance0/process001",
        "rows_path": f"/jobs/job-1/results/{index}.arrow",
        "rows": 6,
    }
    return MiniBatchResult(**{**fields, **changes})


def a_schedule(name: str = "nightly", **changes: Any) -> Schedule:
    fields: dict[str, Any] = {
        "name": name,
        "trigger": CronTrigger(
            expression="*/5 * * * *", start_time=NOW, end_time=NOW + timedelta(days=9), time_zone="Europe/Berlin"
        ),
        "endpoint_name": "pumps",
        "input": TABLE_INPUT,
        "deployment_name": "blue",
        "output": JobOutput(path="/out"),
        "display_name": "Every five minutes",
        "description": "scores what is new",
        "tags": {"a": "b"},
        "properties": {"c": "d"},
        "next_fire": NOW + timedelta(minutes=5),
        "created_at": NOW,
    }
    return Schedule(**{**fields, **changes})
