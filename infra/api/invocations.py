"""Invoking an endpoint, and the jobs that came of it."""

from __future__ import annotations

from typing import Annotated

import uuid_utils
from fastapi import APIRouter, Header, Query, Request, Response

from infra.api.bodies import Body, documented
from infra.api.endpoints import base_url
from infra.api.errors import answers
from infra.api.jobs import Limit, shown_job
from infra.api.locations import located
from infra.api.parts import ServiceParts
from scoring.errors import InvalidInput
from scoring.invoke import chosen_deployment, new_job
from scoring.specs.invocation import InvocationSpec
from scoring.specs.shown import Shown
from scoring.specs.validation import parse


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
        job = located(parts, job)
        parts.inputs.resolve(job.input)
        for sink in parts.sinks(job):
            sink.check(job)
        stored = parts.jobs.add(job, idempotency_key=request_key)
        parts.wake()
        response.headers["location"] = f"{base_url(request)}/jobs/{stored.name}"
        response.headers["azureml-model-deployment"] = stored.deployment.name
        return shown_job(parts, request, stored)

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
        return [shown_job(parts, request, job) for job in found]

    return routes
