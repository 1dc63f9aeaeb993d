"""Jobs: invoking an endpoint, looking at what became of it, cancelling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import uuid_utils
from fastapi import APIRouter, Header, Query, Request, Response

from infra.api.bodies import Body, documented
from infra.api.endpoints import base_url
from infra.api.errors import answers
from infra.api.parts import ListedMiniBatch, ServiceParts
from scoring.errors import Conflict, InvalidInput, LeaseLost
from scoring.invoke import chosen_deployment, new_job
from scoring.job import Job, JobStatus
from scoring.specs.invocation import InvocationSpec
from scoring.specs.shown import Shown, time_text, to_document
from scoring.specs.validation import parse

_TRIES = 10

Limit = Annotated[int, Query(ge=1, le=10_000)]


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.post(
        "/batch-endpoints/{endpoint_name}/jobs",
        status_code=201,
        openapi_extra=documented(InvocationSpec),
        responses=answers(400, 404, 409, 503),
    )
    def invoke_endpoint(
        request: Request,
        response: Response,
        endpoint_name: str,
        body: Body,
        deployment: Annotated[str | None, Header(alias="azureml-model-deployment")] = None,
        request_key: Annotated[str | None, Header(alias="repeatability_request-id", max_length=200)] = None,
    ) -> Shown:
        """Make a job. The same `repeatability_request-id` again is the same job, so that a request can be repeated."""
        spec = parse(InvocationSpec, body)
        endpoint = parts.catalog.endpoint(endpoint_name.lower())
        if spec.endpoint not in {None, endpoint.name}:
            raise InvalidInput(f"found '{spec.endpoint}', but the address names {endpoint.name}", place="endpoint")
        chosen = parts.catalog.deployment(endpoint.name, chosen_deployment(endpoint, spec.deployment or deployment))
        parts.catalog.compute(chosen.compute)
        job = new_job(spec.job_name or str(uuid_utils.uuid7()), chosen, spec.invocation(), now=parts.clock.now())
        parts.inputs.resolve(job.input)
        for sink in parts.sinks(job):
            sink.check(job)
        stored = parts.jobs.add(job, idempotency_key=request_key)
        parts.wake()
        response.headers["location"] = f"{base_url(request)}/jobs/{stored.name}"
        response.headers["azureml-model-deployment"] = stored.deployment.name
        return _shown(request, stored)

    @routes.get("/batch-endpoints/{endpoint_name}/jobs", responses=answers(503))
    def list_jobs_of_endpoint(
        request: Request,
        endpoint_name: str,
        deployment_name: str | None = None,
        max_results: Limit = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> list[Shown]:
        """Newest first; also of an endpoint that is gone."""
        found = parts.listing.jobs(
            endpoint_name=endpoint_name.lower(), deployment_name=deployment_name, limit=max_results, offset=offset
        )
        return [_shown(request, job) for job in found]

    @routes.get("/batch-endpoints/{endpoint_name}/jobs/{name}", responses=answers(404, 503))
    @routes.get("/jobs/{name}", responses=answers(404, 503))
    def show_job(request: Request, name: str) -> Shown:
        return _shown(request, parts.jobs.get(name))

    @routes.get("/jobs", responses=answers(400, 503))
    def list_jobs(
        request: Request,
        schedule_name: str | None = None,
        status: Annotated[list[JobStatus] | None, Query()] = None,
        max_results: Limit = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> list[Shown]:
        """Newest first."""
        found = parts.listing.jobs(schedule_name=schedule_name, statuses=status or (), limit=max_results, offset=offset)
        return [_shown(request, job) for job in found]

    @routes.post("/jobs/{name}/cancel", status_code=202, responses=answers(404, 409, 503))
    def cancel_job(request: Request, name: str) -> Shown:
        """Ask for the job's end; poll until it is Canceled. A job whose outputs are being written completes."""
        cancelled = _cancelled(parts, name)
        parts.wake()
        return _shown(request, cancelled)

    @routes.get("/jobs/{name}/mini-batches", responses=answers(404, 503))
    def list_mini_batches(name: str, max_results: Limit = 1000, offset: Annotated[int, Query(ge=0)] = 0) -> list[Shown]:
        """In the order of the manifest; empty until the job is planned."""
        parts.jobs.get(name)
        return [_mini_batch(m) for m in parts.listing.mini_batches(name, limit=max_results, offset=offset)]

    def _shown(request: Request, job: Job) -> Shown:
        folder = job.output.path or str(parts.jobs_folder / job.name / "outputs" / "score")
        outputs = {"score": {"type": "uri_folder", "path": folder}}
        return {**to_document(job, base_url=base_url(request)), "outputs": outputs}

    return routes


def _cancelled(parts: ServiceParts, name: str) -> Job:
    for _ in range(_TRIES):
        job = parts.jobs.get(name)
        if job.status in {JobStatus.CANCEL_REQUESTED, JobStatus.CANCELED}:
            return job
        # nobody works on a queued job without a lease, so nobody need be asked to stop
        wanted = JobStatus.CANCEL_REQUESTED
        if job.status is JobStatus.QUEUED and job.lease_owner is None:
            wanted = JobStatus.CANCELED
        if not job.may_move(wanted):
            raise Conflict(f"job {name} is {job.status} and cannot be canceled any more")
        moved = job.moved(wanted, reason="canceled by its user")
        if wanted is JobStatus.CANCELED:
            moved = replace(moved, ended_at=parts.clock.now())
        try:
            stored = parts.jobs.save(moved)
        except LeaseLost:
            continue  # a runner claimed it meanwhile; ask that one
        if stored.status in {JobStatus.CANCEL_REQUESTED, JobStatus.CANCELED}:
            return stored
    raise Conflict(f"job {name} changed {_TRIES} times meanwhile; try again")


def _mini_batch(listed: ListedMiniBatch) -> Shown:
    result = listed.result
    shown: dict[str, Any] = {
        "index": listed.mini_batch.index,
        "items": [
            {"uri": item.uri, "size_bytes": item.size_bytes, "rows": item.rows} for item in listed.mini_batch.items
        ],
        "outcome": None if result is None else result.outcome.value,
        "ended_at": time_text(listed.ended_at),
    }
    for key in ("succeeded", "failed", "tries", "seconds", "rows", "worker", "error", "traceback"):
        shown[key] = None if result is None else getattr(result, key)
    return shown
