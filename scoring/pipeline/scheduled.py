"""The jobs of a schedule that runs a pipeline or a command. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from scoring.components.binding import DataReference, LiteralValue, Value
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.job import Job
from scoring.pipeline.planning import new_work_job
from scoring.schedule import Schedule

JOB_NAME = re.compile(r"\$\{\{\s*name\s*\}\}")
"""Where the name of the job that a schedule makes goes."""


def job_of(schedule: Schedule, work: CommandJob | PipelineJob, name: str, *, fire_time: datetime, now: datetime) -> Job:
    """The queued job of what a schedule runs."""
    job = new_work_job(name, work, now=now)
    return replace(
        job,
        display_name=work.display_name or schedule.display_name or schedule.name,
        tags={**job.tags, **schedule.tags, "schedule": schedule.name},
        properties={**job.properties, **schedule.properties},
        schedule_name=schedule.name,
        fire_time=fire_time,
    )


def of_one_job(work: CommandJob | PipelineJob, job_name: str) -> CommandJob | PipelineJob:
    """With the job's name where its inputs say `${{name}}`."""
    inputs = {name: _named(value, job_name) for name, value in work.inputs.items()}
    return replace(work, inputs=inputs)


def _named(value: Value, job_name: str) -> Value:
    if isinstance(value, DataReference):
        return replace(value, path=JOB_NAME.sub(job_name, value.path))
    if isinstance(value.value, str):
        return LiteralValue(value=JOB_NAME.sub(job_name, value.value))
    return value
