"""Making jobs of files: commands and pipelines, checked whole before anything is stored."""

from __future__ import annotations

import uuid_utils
from fastapi import APIRouter, Request

from infra.api.bodies import Body, RequestKey, documented
from infra.api.errors import answers
from infra.api.jobs import shown_job
from infra.api.local_compute import make_local_compute
from infra.api.parts import ServiceParts
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.components.templates import expanded_path
from scoring.datastore import DEFAULT_DATASTORE
from scoring.errors import InvalidInput, NotFound
from scoring.job import Job
from scoring.pipeline.named_data import computes_of, not_run_here, output_places
from scoring.pipeline.planning import DEFAULT_COMPUTE, SERVERLESS, new_work_job
from scoring.specs.document import Document
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec, parse_job
from scoring.specs.shown import Shown
from storage.step_places import StepPlaces

_ON_DEMAND = {DEFAULT_COMPUTE, SERVERLESS}


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["jobs"])
    bodies = documented(PipelineJobSpec, CommandJobSpec)

    @routes.post("/jobs", status_code=201, openapi_extra=bodies, responses=answers(400, 404, 409, 503))
    def create_job(request: Request, body: Body, request_key: RequestKey = None) -> Shown:
        """Run a pipeline or a command. Code, environments and components that it holds are registered, unnamed."""
        work = checked(parts, _work(parts, body))
        name = work.name or str(uuid_utils.uuid7())
        job = new_work_job(name, work, now=parts.clock.now())
        return shown_job(parts, request, stored(parts, job, request_key))

    @routes.post("/jobs/validate", openapi_extra=bodies, responses=answers(400, 404, 409, 503))
    def validate_job(body: Body) -> Shown:
        """Whether `POST /jobs` would take it; refused as that would refuse it. Nothing is run."""
        checked(parts, _work(parts, body))
        return {"result": "Succeeded", "errors": []}

    return routes


def _work(parts: ServiceParts, document: Document) -> CommandJob | PipelineJob:
    return made(parts, parse_job(document))


def made(parts: ServiceParts, spec: CommandJobSpec | PipelineJobSpec) -> CommandJob | PipelineJob:
    """What it says, its code, environments and components registered."""
    if isinstance(spec, CommandJobSpec):
        return parts.components.command_job(spec)
    return parts.components.pipeline_job(spec)


def checked(parts: ServiceParts, work: CommandJob | PipelineJob) -> CommandJob | PipelineJob:
    """The same with its data as of now. Raises InvalidInput and NotFound for what it names and is not there."""
    places = StepPlaces(parts.references, parts.fetch, parts.registration)

    if isinstance(work, PipelineJob):
        for place, message in not_run_here(work.component):
            raise InvalidInput(message, place=place)
    for name, place in computes_of(work).items():
        _check_compute(parts, name, place)
    for place, path in output_places(work):
        written = expanded_path(path, name="name", output_name="output", default_datastore=DEFAULT_DATASTORE)
        places.output_path(written, place=place)
    return places.frozen_work(work)


def stored(parts: ServiceParts, job: Job, request_key: str | None = None) -> Job:
    """The queued job; those who work are told."""
    added = parts.jobs.add(job, idempotency_key=request_key)
    parts.wake()
    return added


def _check_compute(parts: ServiceParts, name: str, place: str) -> None:
    try:
        parts.catalog.compute(name)
    except NotFound as missing:
        if name not in _ON_DEMAND:
            raise InvalidInput(str(missing), place=place) from None
        make_local_compute(parts, name)
