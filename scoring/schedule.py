"""When an endpoint is invoked, or a job run, by itself. Triggers are values with one question: when next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from scoring.components.jobs import CommandJob, PipelineJob
from scoring.job import NO_INPUT, JobInput, JobOutput
from scoring.trigger_documents import trigger_from_dict, trigger_to_dict
from scoring.triggers import CronTrigger, RecurrencePattern, RecurrenceTrigger, anchored

__all__ = [
    "CronTrigger",
    "RecurrencePattern",
    "RecurrenceTrigger",
    "Schedule",
    "Trigger",
    "anchored",
    "first_fire",
    "trigger_from_dict",
    "trigger_to_dict",
]


class Trigger(Protocol):
    def next_after(self, moment: datetime) -> datetime | None:
        """The first fire time strictly after `moment` (UTC-aware), or None when there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Invokes `endpoint_name`, or runs `pipeline` or `command`, at the trigger's times.

    pipeline, command  what is run where no endpoint is invoked (`endpoint_name` is empty then, and `input` no input),
                  its data as it was named: each job has the data of its time
    output        each job's files go into a folder of its own below `output.path`: `<path>/<job name>`, or where
                  `${{name}}` stands in it; with `overwrite` all go into the path itself, each over the one before
    last_version  table version up to which this schedule's completed jobs have scored; moved only in the transaction
                  that completes a job, so that nothing is skipped and nothing is scored twice
    next_fire     when it is due; None when disabled or past its end
    missed        fire times that were passed over so far, as the service was not there: one job makes up for them all
    last_skip     why the last fire made no job (`the job before it still runs`, `nothing new`), None if it made one
    """

    name: str
    trigger: Trigger
    endpoint_name: str = ""
    input: JobInput = NO_INPUT
    pipeline: PipelineJob | None = None
    command: CommandJob | None = None
    deployment_name: str | None = None
    output: JobOutput = JobOutput()
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    is_enabled: bool = True
    last_version: int | None = None
    next_fire: datetime | None = None
    last_fire: datetime | None = None
    last_job_name: str | None = None
    last_skip: str | None = None
    missed: int = 0
    created_at: datetime | None = None

    @property
    def work(self) -> CommandJob | PipelineJob | None:
        """What is run where no endpoint is invoked."""
        return self.pipeline or self.command


def first_fire(trigger: Trigger, now: datetime) -> datetime | None:
    """When a schedule created or enabled `now` is due first; `now` itself where the trigger falls on it."""
    return trigger.next_after(now - timedelta(microseconds=1))
