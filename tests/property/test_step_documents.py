"""Jobs of every kind survive their rows: commands, pipelines, their steps and deployments."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scoring.components.binding import DataReference, LiteralValue, OutputTarget
from scoring.components.component import ParallelComponent, ParallelTask, PipelineComponent
from scoring.components.declared import InputDeclaration, ValueType
from scoring.components.jobs import CommandJob, PipelineDeployment, PipelineSettings
from scoring.job import Job, JobStatus, NamedOutput
from scoring.pipeline.advance import advanced
from scoring.pipeline.planning import new_command_job, new_pipeline_job
from storage.postgres import rows
from storage.postgres.documents import from_document, to_document
from tests.contract.memory_pipelines import DATA, FOLDER, a_command, a_pipeline, a_step

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LITERALS = st.builds(LiteralValue, value=TEXT | st.integers(-(2**40), 2**40) | st.booleans() | st.floats(-1e6, 1e6))
REFERENCES = st.builds(DataReference, path=TEXT, type=st.none() | st.sampled_from(ValueType), mode=st.none() | TEXT)
TARGETS = st.builds(
    OutputTarget, path=st.none() | TEXT, name=st.none() | TEXT, type=st.none() | st.sampled_from(ValueType)
)
COMMANDS = st.builds(
    CommandJob,
    component=st.builds(a_command, TEXT, environment=st.none() | TEXT, is_deterministic=st.booleans()),
    inputs=st.dictionaries(TEXT, LITERALS | REFERENCES, max_size=3),
    outputs=st.dictionaries(TEXT, TARGETS, max_size=2),
    compute=st.none() | TEXT,
    timeout=st.none() | st.integers(1, 10**6),
)
SETTINGS = st.builds(
    PipelineSettings,
    default_compute=st.none() | TEXT,
    continue_on_step_failure=st.booleans(),
    force_rerun=st.booleans(),
)


def read_back(job: Job) -> Job:
    row: dict[str, Any] = rows.job_row(job)
    for column in ("document", "progress"):
        row[column] = json.loads(json.dumps(row[column], allow_nan=False))
    row |= {"lease_owner": None, "lease_until": None, "lease_epoch": 0}
    return rows.job_of(row)  # type: ignore[arg-type]


@given(COMMANDS, st.none() | TEXT, st.booleans())
def test_a_command_survives_its_row(command: CommandJob, fingerprint: str | None, may_reuse: bool) -> None:
    job = replace(
        new_command_job("c", command, now=NOW),
        outputs={"out": NamedOutput(type=ValueType.URI_FILE, path="/x")},
        fingerprint=fingerprint,
        may_reuse=may_reuse,
        reused_from=fingerprint,
        parent="p",
        step="s",
    )
    assert read_back(job) == job


@given(SETTINGS, LITERALS)
def test_a_pipeline_and_its_steps_survive_their_rows(settings: PipelineSettings, literal: LiteralValue) -> None:
    parallel = ParallelComponent(
        name="score", version="1", task=ParallelTask(code="c", entry_script="s.py"), input_data="first",
        inputs={"first": DATA},
    )  # fmt: skip
    inner = PipelineComponent(name="inner", version="1", jobs=(a_step("deep"),), inputs={"first": DATA})
    word = InputDeclaration(type=ValueType.STRING)
    steps = (
        a_step("first", component=a_command(inputs={"word": word}), inputs={"word": literal}),
        a_step("second", after=["first"], component=parallel),
        a_step("third", after=["first"], component=inner),
    )
    work = a_pipeline(*steps)
    parent = new_pipeline_job("p", replace(work, settings=settings), now=NOW)
    assert read_back(parent) == parent
    begun = advanced(parent, [], now=NOW)
    moved = advanced(begun.parent, begun.added, now=NOW)
    first = next(job for job in moved.changed if job.step == "first")
    assert read_back(first) == first
    done = replace(first, status=JobStatus.COMPLETED, outputs={"out": NamedOutput(type=FOLDER.type, path="/o")})
    after = advanced(moved.parent, [done, *(job for job in begun.added if job.step != "first")], now=NOW)
    assert {job.kind.value for job in after.changed} == {"parallel", "pipeline"}
    for job in (after.parent, *after.changed):
        assert read_back(job) == job


@given(SETTINGS, st.none() | TEXT)
def test_a_deployment_survives_its_document(settings: PipelineSettings, description: str | None) -> None:
    deployment = PipelineDeployment(
        name="line",
        endpoint_name="pumps",
        component=a_pipeline(a_step("a")).component,
        settings=settings,
        description=description,
        created_at=NOW,
    )
    document = json.loads(json.dumps(to_document(deployment)))
    assert from_document(PipelineDeployment, document) == deployment
    assert rows.deployment_of({"document": rows.catalog_document(deployment), "created_at": NOW}) == deployment  # type: ignore[arg-type]
