"""Schedules: endpoints that are invoked, and jobs that are run, by themselves."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from infra.api.scheduled_jobs import scheduled_work
from scoring.components.jobs import CommandJob
from scoring.errors import Conflict, NotFound
from scoring.invoke import chosen_deployment
from scoring.job import JobInputType
from scoring.schedule import CronTrigger, RecurrenceTrigger, Schedule, anchored, first_fire
from scoring.specs.schedule import ScheduleSpec, parse_schedule
from scoring.specs.scheduled_job import InvokedSpec
from scoring.specs.shown import Shown, to_document
from storage.job_places import located_input


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/schedules", tags=["schedules"])

    @routes.get("", responses=answers(503))
    def list_schedules() -> list[Shown]:
        return [to_document(schedule) for schedule in parts.listing.schedules()]

    @routes.post("", openapi_extra=documented(ScheduleSpec), responses=answers(400, 404, 409, 503))
    def create_schedule(body: Body) -> Shown:
        """Create or replace. A replaced schedule goes on where it was: what it has scored stays scored."""
        spec, schedule = parse_schedule(body)
        if isinstance(spec.create_job, InvokedSpec):
            _check_invocation(schedule)
            return _saved(_continued(schedule))
        work = scheduled_work(parts, spec.create_job)
        if isinstance(work, CommandJob):
            return _saved(_continued(replace(schedule, command=work)))
        return _saved(_continued(replace(schedule, pipeline=work)))

    @routes.get("/{name}", responses=answers(404, 503))
    def show_schedule(name: str) -> Shown:
        return to_document(parts.schedules.get(name))

    @routes.post("/{name}/enable", responses=answers(404, 503))
    def enable_schedule(name: str) -> Shown:
        """It fires at its next time from now; times that passed while it was disabled are not made up for."""
        return _saved(replace(parts.schedules.get(name), is_enabled=True))

    @routes.post("/{name}/disable", responses=answers(404, 503))
    def disable_schedule(name: str) -> Shown:
        """A job that it has made goes on."""
        return _saved(replace(parts.schedules.get(name), is_enabled=False))

    @routes.post("/{name}/trigger", responses=answers(404, 409, 503))
    def trigger_schedule(name: str) -> Shown:
        """It fires at once; its other times stay. A job of it that still runs keeps this one from being made."""
        schedule = parts.schedules.get(name)
        if not schedule.is_enabled:
            instead = f"invoke endpoint {schedule.endpoint_name}" if schedule.endpoint_name else "create its job"
            raise Conflict(f"schedule {name} is disabled; enable it, or {instead}")
        parts.schedules.save(replace(schedule, next_fire=parts.clock.now()))
        return to_document(parts.schedules.get(name))

    @routes.delete("/{name}", status_code=204, responses=answers(503))
    def delete_schedule(name: str) -> Response:
        """Its jobs stay. Deleting what is not there is done."""
        parts.schedules.delete(name)
        return Response(status_code=204)

    def _check_invocation(schedule: Schedule) -> None:
        endpoint = parts.catalog.endpoint(schedule.endpoint_name)
        parts.catalog.deployment(endpoint.name, chosen_deployment(endpoint, schedule.deployment_name))
        if schedule.input.type is not JobInputType.TABLE:  # the first window may still be to come
            parts.inputs.resolve(located_input(schedule.input, parts.references))

    def _continued(schedule: Schedule) -> Schedule:
        try:
            before = parts.schedules.get(schedule.name)
        except NotFound:
            return replace(schedule, created_at=parts.clock.now())
        return replace(
            schedule,
            created_at=before.created_at,
            last_fire=before.last_fire,
            last_job_name=before.last_job_name,
            last_skip=before.last_skip,
            missed=before.missed,
            last_version=before.last_version if before.input.path == schedule.input.path else None,
        )

    def _saved(schedule: Schedule) -> Shown:
        now, trigger = parts.clock.now(), schedule.trigger
        if isinstance(trigger, (CronTrigger, RecurrenceTrigger)):
            trigger = anchored(trigger, now)
        next_fire = first_fire(trigger, now) if schedule.is_enabled else None
        parts.schedules.save(replace(schedule, trigger=trigger, next_fire=next_fire))
        return to_document(parts.schedules.get(schedule.name))

    return routes
