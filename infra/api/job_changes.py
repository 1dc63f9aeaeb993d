"""Changing jobs: how they are called, archiving them, taking ended ones up again."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.jobs import job_named, shown_job
from infra.api.parts import ServiceParts
from scoring.errors import Conflict
from scoring.job import Job, JobKind
from scoring.reopening import Decision, refuse_overlap, resumed, retried
from scoring.specs.job_changes import JobChangesSpec
from scoring.specs.shown import Shown
from scoring.specs.validation import parse


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.patch("/jobs/{name}", openapi_extra=documented(JobChangesSpec), responses=answers(400, 404, 503))
    def update_job(request: Request, name: str, body: Body) -> Shown:
        """Change display_name, description, tags or properties."""
        changes = parse(JobChangesSpec, body)
        return shown_job(parts, request, parts.keeper.annotate(changes.applied(job_named(parts, name))))

    @routes.post("/jobs/{name}/archive", responses=answers(404, 503))
    def archive_job(request: Request, name: str) -> Shown:
        """Leave it out of lists, unless they ask for archived jobs."""
        return shown_job(parts, request, _archived(parts, name, is_archived=True))

    @routes.post("/jobs/{name}/restore", responses=answers(404, 503))
    def restore_job(request: Request, name: str) -> Shown:
        """Undo archiving."""
        return shown_job(parts, request, _archived(parts, name, is_archived=False))

    @routes.post("/jobs/{name}/resume", status_code=202, responses=answers(404, 409, 503))
    def resume_job(request: Request, name: str) -> Shown:
        """A Failed or Canceled job goes on with what is left; one that has not ended is left as it is."""
        job = _taken_up(parts, name, resumed)
        parts.wake()
        return shown_job(parts, request, job)

    @routes.post("/jobs/{name}/retry-failed", status_code=202, responses=answers(404, 409, 503))
    def retry_failed_mini_batches(request: Request, name: str) -> Shown:
        """An ended job scores its mini-batches with failed items again; the new rows take the place of the old."""
        job = _taken_up(parts, name, retried)
        parts.wake()
        return shown_job(parts, request, job)

    return routes


def _taken_up(parts: ServiceParts, name: str, decide: Decision) -> Job:
    job = job_named(parts, name)
    if job.kind is not JobKind.SCORING:
        raise Conflict(f"job {name} is a {job.kind}; make it again: a pipeline takes over the steps that completed")
    if job.schedule_name is not None:
        for newest in parts.listing.jobs(schedule_name=job.schedule_name, limit=1):
            refuse_overlap(job, newest)
    return parts.keeper.reopen(job.name, decide)


def _archived(parts: ServiceParts, name: str, *, is_archived: bool) -> Job:
    return parts.keeper.annotate(replace(job_named(parts, name), archived=is_archived))
