"""From an endpoint and wishes to a queued job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scoring.deployment import CodeConfiguration, Deployment, RetrySettings
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, InvalidInput
from scoring.invoke import Invocation, Overrides, chosen_deployment, new_job
from scoring.job import JobInput, JobInputType, JobStatus, Pivot
from scoring.model import ModelReference

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = JobInput(type=JobInputType.URI_FOLDER, path="/data")
BLUE = Deployment(
    name="blue",
    endpoint_name="pumps",
    model=ModelReference(name="net", version="1"),
    code_configuration=CodeConfiguration(code="/code", scoring_script="score.py"),
    compute="cluster",
    retry_settings=RetrySettings(max_retries=5, timeout=7),
)


def test_the_wish_comes_before_the_default() -> None:
    endpoint = Endpoint(name="pumps", default_deployment_name="blue")
    assert chosen_deployment(endpoint, None) == "blue"
    assert chosen_deployment(endpoint, "green") == "green"


def test_neither_wish_nor_default_says_what_to_do() -> None:
    with pytest.raises(Conflict, match="set a default deployment or provide a deployment name"):
        chosen_deployment(Endpoint(name="pumps"), None)


def test_a_new_job_waits_and_keeps_its_deployment() -> None:
    job = new_job("j", BLUE, Invocation(input=FOLDER), now=NOW)
    assert (job.status, job.status_reason) == (JobStatus.QUEUED, "waiting for a runner")
    assert (job.deployment, job.created_at, job.trigger) == (BLUE, NOW, "user")
    assert job.experiment_name == "pumps"


def test_overrides_hold_for_this_job_alone() -> None:
    wished = Overrides(
        instance_count=3,
        mini_batch_size=4,
        max_retries=1,
        timeout=9,
        error_threshold=0,
        output_file_name="scores.csv",
    )
    found = new_job("j", BLUE, Invocation(input=FOLDER, overrides=wished), now=NOW).deployment
    assert (found.instance_count, found.mini_batch_size, found.error_threshold) == (3, 4, 0)
    assert found.retry_settings == RetrySettings(max_retries=1, timeout=9)
    assert found.output_file_name == "scores.csv"
    assert found.model == BLUE.model


def test_what_is_not_wished_stays() -> None:
    assert Overrides().applied(BLUE) == BLUE


@pytest.mark.parametrize(
    ("wished", "told"),
    [
        ({"instance_count": 0}, "instance_count: 0 is too small; allowed are 1 and more"),
        ({"mini_batch_size": 0}, "mini_batch_size: 0"),
        ({"max_retries": 0}, "max_retries: 0"),
        ({"timeout": -1}, "timeout: -1"),
        ({"error_threshold": -2}, "error_threshold: -2 is too small; allowed are -1 and more"),
        ({"output_file_name": "../x.csv"}, "output_file_name: '../x.csv' is no file name"),
        ({"output_file_name": ".."}, "output_file_name"),
        ({"output_file_name": " "}, "output_file_name"),
    ],
)
def test_overrides_out_of_range_are_refused(wished: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Overrides(**wished).applied(BLUE)


@pytest.mark.parametrize(
    ("field", "value"),
    [("join", ("machines",)), ("pivot", Pivot(index=("a",), columns="b", values=("c",))), ("incremental", True)],
)
def test_what_only_tables_have_is_refused_for_files(field: str, value: Any) -> None:
    wrong = JobInput(type=JobInputType.URI_FOLDER, path="/data", **{field: value})
    with pytest.raises(InvalidInput, match=rf"input\.{field}: only inputs of type table have it"):
        new_job("j", BLUE, Invocation(input=wrong), now=NOW)


def test_a_scheduled_job_says_whose_it_is() -> None:
    job = new_job("j", BLUE, Invocation(input=FOLDER, schedule_name="hourly", fire_time=NOW), now=NOW)
    assert (job.trigger, job.schedule_name, job.fire_time) == ("schedule", "hourly", NOW)
