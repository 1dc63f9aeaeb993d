"""A schedule's YAML: a trigger in Azure's words, and what it makes (`scheduled_job`). `frequency: second` is ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from scoring.errors import InvalidInput
from scoring.schedule import Schedule, Trigger, trigger_from_dict
from scoring.specs.document import Document, described
from scoring.specs.fields import AssetName, Count, Integer, Text, TextMap, lowered
from scoring.specs.scheduled_job import CreateJobField, InvokedSpec
from scoring.specs.validation import Spec, parse


def _listed(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) or value is None else [value]


Integers = Annotated[list[Integer], BeforeValidator(_listed), Field(max_length=60)]


class CronSpec(Spec):
    type: Annotated[Literal["cron"], BeforeValidator(lowered)]
    expression: Annotated[str, Field(max_length=200)]
    start_time: Annotated[str, Field(max_length=60)] | None = None
    end_time: Annotated[str, Field(max_length=60)] | None = None
    time_zone: Annotated[str, Field(max_length=100)] = "UTC"


class PatternSpec(Spec):
    hours: Integers | None = None
    minutes: Integers | None = None
    week_days: Annotated[list[str], BeforeValidator(_listed), Field(max_length=7)] | None = None
    month_days: Integers | None = None


class RecurrenceSpec(Spec):
    type: Annotated[Literal["recurrence"], BeforeValidator(lowered)]
    frequency: Annotated[Literal["second", "minute", "hour", "day", "week", "month"], BeforeValidator(lowered)]
    interval: Count
    schedule: PatternSpec | None = None
    start_time: Annotated[str, Field(max_length=60)] | None = None
    end_time: Annotated[str, Field(max_length=60)] | None = None
    time_zone: Annotated[str, Field(max_length=100)] = "UTC"


def _kind(value: Any) -> str | None:
    kind = str(value.get("type")).lower() if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if kind in {"cron", "recurrence"} else None


TriggerField = Annotated[
    Annotated[CronSpec, Tag("<cron>")] | Annotated[RecurrenceSpec, Tag("<recurrence>")],
    Discriminator(
        _kind,
        custom_error_type="trigger_kind",
        custom_error_message="wanted keys and values with a type, allowed: cron, recurrence",
    ),
]


class ScheduleSpec(Spec):
    """Keys of `schedule create`; the last ones are added by `show` and have no effect."""

    name: AssetName
    display_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    trigger: TriggerField
    create_job: CreateJobField
    is_enabled: bool = True

    id: Any = None
    provisioning_state: Any = None
    creation_context: Any = None
    next_fire: Any = None
    last_fire: Any = None
    last_job_name: Any = None
    last_skip: Any = None
    missed: Any = None
    last_version: Any = None

    def schedule(self, trigger: Trigger) -> Schedule:
        """Of a pipeline or a command without what is run: that is made of `create_job` where components are known."""
        schedule = Schedule(
            name=self.name,
            trigger=trigger,
            display_name=self.display_name,
            description=self.description,
            tags=self.tags,
            properties=self.properties,
            is_enabled=self.is_enabled,
        )
        if not isinstance(self.create_job, InvokedSpec):
            return schedule
        return replace(
            schedule,
            endpoint_name=self.create_job.endpoint,
            deployment_name=self.create_job.deployment,
            input=self.create_job.input.job_input(),
            output=self.create_job.output.job_output(),
        )


def parse_schedule(document: Document) -> tuple[ScheduleSpec, Schedule]:
    """The spec and its value: the trigger's own rules are checked too, and their refusals name the line as well."""
    written = document.value.get("trigger")
    if isinstance(written, dict) and _kind(written) is None:
        found = described(written.get("type"))
        raise document.refusal(("trigger", "type"), f"found {found}, allowed: cron, recurrence")
    spec = parse(ScheduleSpec, document, context={"files": document.files})
    try:
        trigger = trigger_from_dict(spec.trigger.model_dump(exclude_none=True))
    except InvalidInput as error:
        path = tuple((error.place or "trigger").split("."))
        raise document.refusal(path, str(error).removeprefix(f"{error.place}: ")) from None
    return spec, spec.schedule(trigger)
