"""Any value survives its document: what a store writes is what it reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.compute.cluster import Compute
from scoring.deployment import CodeConfiguration, Deployment, OutputAction, RetrySettings
from scoring.endpoint import Endpoint
from scoring.job import Job, JobInput, JobInputType, JobOutput, JobProgress, JobStatus, Pivot
from scoring.minibatch import MiniBatchOutcome, MiniBatchResult
from scoring.model import Model, ModelReference
from scoring.schedule import CronTrigger, RecurrencePattern, RecurrenceTrigger, Schedule
from scoring.triggers import Frequency
from storage.postgres import rows
from storage.postgres.documents import from_document, storable, to_document

# what Postgres can keep: storable() makes all else so
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=3)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))
COUNT = st.integers(0, 2**53)
MAYBE_TEXT, MAYBE_TIME, MAYBE_COUNT = TEXT | st.none(), TIMES | st.none(), COUNT | st.none()

REFERENCES = st.builds(ModelReference, name=TEXT, version=TEXT)
DEPLOYMENTS = st.builds(
    Deployment, name=TEXT, endpoint_name=TEXT, model=REFERENCES, compute=TEXT, environment=MAYBE_TEXT,
    code_configuration=st.builds(CodeConfiguration, code=TEXT, scoring_script=TEXT), environment_variables=TEXTS,
    instance_count=COUNT, mini_batch_size=COUNT, output_action=st.sampled_from(OutputAction), output_file_name=TEXT,
    retry_settings=st.builds(RetrySettings, max_retries=COUNT, timeout=COUNT), error_threshold=st.integers(-1, 9),
    description=MAYBE_TEXT, tags=TEXTS, properties=TEXTS, created_at=MAYBE_TIME,
)  # fmt: skip
NAMES = st.lists(TEXT, max_size=3).map(tuple)
INPUTS = st.builds(
    JobInput, type=st.sampled_from(JobInputType), path=TEXT, join=NAMES, incremental=st.booleans(),
    pivot=st.none() | st.builds(Pivot, index=NAMES, columns=TEXT, values=NAMES),
    from_version=MAYBE_COUNT, to_version=MAYBE_COUNT,
)  # fmt: skip
OUTPUTS = st.builds(JobOutput, path=MAYBE_TEXT, predictions=st.booleans())
TRIGGERS = st.builds(
    CronTrigger, expression=st.just("*/7 3 * * 1-5"), end_time=MAYBE_TIME,
    time_zone=st.sampled_from(["UTC", "Europe/Berlin"]),
) | st.builds(
    RecurrenceTrigger, frequency=st.just(Frequency.WEEK), interval=st.integers(1, 9), start_time=MAYBE_TIME,
    pattern=st.builds(
        RecurrencePattern, hours=st.just((3, 8)), minutes=st.just((15,)),
        week_days=st.lists(st.integers(0, 6), unique=True, max_size=7).map(lambda days: tuple(sorted(days))),
    ),
)  # fmt: skip
SCHEDULES = st.builds(
    Schedule, name=TEXT, trigger=TRIGGERS, endpoint_name=TEXT, input=INPUTS, deployment_name=MAYBE_TEXT, output=OUTPUTS,
    display_name=MAYBE_TEXT, description=MAYBE_TEXT, tags=TEXTS, is_enabled=st.booleans(), last_version=MAYBE_COUNT,
    next_fire=MAYBE_TIME, last_fire=MAYBE_TIME, last_job_name=MAYBE_TEXT, last_skip=MAYBE_TEXT, created_at=MAYBE_TIME,
)  # fmt: skip
RESULTS = st.builds(
    MiniBatchResult, index=COUNT, outcome=st.sampled_from(MiniBatchOutcome), items=COUNT, succeeded=COUNT, failed=COUNT,
    tries=COUNT, seconds=st.floats(0, 1e6), worker=MAYBE_TEXT, rows_path=MAYBE_TEXT, rows=COUNT, error=MAYBE_TEXT,
    traceback=MAYBE_TEXT,
)  # fmt: skip
JOBS = st.builds(
    Job, name=TEXT, endpoint_name=TEXT, deployment=DEPLOYMENTS, input=INPUTS, output=OUTPUTS, display_name=MAYBE_TEXT,
    experiment_name=MAYBE_TEXT, tags=TEXTS, status=st.sampled_from(JobStatus), status_reason=MAYBE_TEXT,
    error=MAYBE_TEXT, progress=st.builds(JobProgress, items=COUNT, retries=COUNT), trigger=TEXT,
    schedule_name=MAYBE_TEXT, fire_time=MAYBE_TIME, created_at=TIMES, started_at=MAYBE_TIME, ended_at=MAYBE_TIME,
)  # fmt: skip
VALUES = (
    DEPLOYMENTS | INPUTS | OUTPUTS | SCHEDULES | RESULTS
    | st.builds(Compute, name=TEXT, size=MAYBE_TEXT, tags=TEXTS, description=MAYBE_TEXT, created_at=MAYBE_TIME)
    | st.builds(Endpoint, name=TEXT, default_deployment_name=MAYBE_TEXT, tags=TEXTS, created_at=MAYBE_TIME)
    | st.builds(Model, name=TEXT, version=TEXT, path=TEXT, content_hash=TEXT, tags=TEXTS, created_at=MAYBE_TIME)
)  # fmt: skip


def through_json(document: Any) -> Any:
    return json.loads(json.dumps(document, allow_nan=False))


@given(VALUES)
def test_a_value_survives_its_document(value: Any) -> None:
    assert from_document(type(value), through_json(to_document(value))) == value


@given(JOBS)
def test_a_job_survives_its_row(job: Job) -> None:
    row = rows.job_row(job)
    for column in ("document", "progress"):
        row[column] = through_json(row[column])
    row |= {"lease_owner": None, "lease_until": None, "lease_epoch": 0}
    assert rows.job_of(row) == job  # type: ignore[arg-type]


@given(SCHEDULES)
def test_a_schedule_survives_its_row(schedule: Schedule) -> None:
    row = {"created_at": None, **rows.schedule_row(schedule)}
    row["document"] = through_json(row["document"])
    assert rows.schedule_of(row) == schedule  # type: ignore[arg-type]


@given(DEPLOYMENTS)
def test_a_document_of_another_version_can_be_read(deployment: Deployment) -> None:
    document = {**to_document(deployment), "a_field_of_tomorrow": {"x": 1}}
    del document["logging_level"]
    assert from_document(Deployment, document).name == deployment.name
    assert from_document(Deployment, document).logging_level == "info"


@given(st.text(max_size=20))
def test_any_text_becomes_storable_and_stays_readable(text: str) -> None:
    stored = storable(text)
    stored.encode("utf-8")
    assert "\0" not in stored
    assert storable(stored) == stored
    if "\0" not in text and text.isprintable():
        assert stored == text


def test_a_document_without_a_required_field_is_refused() -> None:
    with pytest.raises(TypeError, match="path"):
        from_document(JobInput, {"type": "table"})
