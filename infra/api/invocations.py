"""The scoring address of an endpoint: invoking it, and the jobs that came of it, as Azure's clients do it, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import uuid_utils
from fastapi import APIRouter, Header, Query, Request, Response

from infra.api import pipeline_deployments
from infra.api.bodies import Body, RequestKey, documented
from infra.api.endpoints import base_url
from infra.api.errors import answers
from infra.api.jobs import Limit, canceled_job, shown_job
from infra.api.parts import ServiceParts
from scoring.components.jobs import PipelineDeployment
from scoring.errors import InvalidInput, NotFound
from scoring.invoke import chosen_deployment, new_job
from scoring.job import Job, JobKind
from scoring.specs.azure_invocation import azure_invocation, is_azure_body
from scoring.specs.document import Document
from scoring.specs.invocation import InvocationSpec
from scoring.specs.pipeline_invocation import PipelineInvocationSpec
from scoring.specs.shown import Shown
from scoring.specs.shown_azure import azure_job, azure_work
from scoring.specs.validation import parse
from storage.job_places import located

DeploymentHeader = Annotated[
    str | None,
    Header(alias="azureml-model-deployment", description="Which deployment; default the endpoint's default."),
]

_EXAMPLES = {
    "ours": {"summary": "our own words", "value": {"input": {"type": "uri_folder", "path": "/data/images"}}},
    "azure": {
        "summary": "Azure's words",
        "value": {
            "properties": {"InputData": {"images": {"JobInputType": "UriFolder", "Uri": "azureml:images@latest"}}}
        },
    },
    "azure-older": {
        "summary": "Azure's older words",
        "value": {"properties": {"dataset": {"dataInputType": "DataUrl", "Path": "/data/images"}, "miniBatchSize": 5}},
    },
}


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/batch-endpoints/{endpoint_name}/jobs", tags=["invocations"])

    @routes.post(
        "",
        status_code=201,
        openapi_extra=documented(InvocationSpec, PipelineInvocationSpec, examples=_EXAMPLES),
        responses=answers(400, 404, 409, 503),
    )
    def invoke_endpoint(
        request: Request,
        response: Response,
        endpoint_name: str,
        body: Body,
        deployment: DeploymentHeader = None,
        request_key: RequestKey = None,
    ) -> Shown:
        """Make a job. The body is in our own words, or Azure's `{"properties": …}`; then the answer is Azure's, too."""
        is_azures = is_azure_body(body)
        given = _ours(parts, endpoint_name, body, deployment) if is_azures else body
        job = invoked(parts, endpoint_name, given, deployment=deployment, request_key=request_key)
        response.headers["location"] = f"{scoring_uri(request, job)}/{job.name}"
        response.headers["azureml-model-deployment"] = job.deployment.name
        return shown_as_azure(parts, request, job) if is_azures else shown_job(parts, request, job)

    @routes.get("", responses=answers(503))
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

    @routes.get("/{name}", responses=answers(404, 503))
    def show_job_of_endpoint(request: Request, endpoint_name: str, name: str) -> Shown:
        """Where Azure's clients poll: `.status`, or `.properties.status`."""
        return shown_as_azure(parts, request, job_of(parts, endpoint_name, name))

    @routes.post("/{name}/cancel", status_code=202, responses=answers(404, 409, 503))
    def cancel_job_of_endpoint(request: Request, endpoint_name: str, name: str) -> Shown:
        """As `POST /jobs/{name}/cancel`."""
        job_of(parts, endpoint_name, name)
        return shown_as_azure(parts, request, canceled_job(parts, name))

    return routes


def _ours(parts: ServiceParts, endpoint_name: str, body: Document, deployment: str | None) -> Document:
    """Azure's body in our own words; only deployments of pipelines take literals."""
    found = pipeline_deployments.deployment_to_invoke(parts, endpoint_name, body, deployment)
    return azure_invocation(body, literals=found is not None)


def invoked(
    parts: ServiceParts,
    endpoint_name: str,
    document: Document,
    *,
    deployment: str | None = None,
    request_key: str | None = None,
) -> Job:
    """The queued job. Everything that can be known to be wrong is refused before it is stored."""
    of_pipeline = pipeline_deployments.deployment_to_invoke(parts, endpoint_name, document, deployment)
    if of_pipeline is not None:
        return pipeline_deployments.invoked(parts, of_pipeline, document, request_key)
    spec = parse(InvocationSpec, document)
    endpoint = parts.catalog.endpoint(endpoint_name.lower())
    if spec.endpoint not in {None, endpoint.name}:
        raise InvalidInput(f"found '{spec.endpoint}', but the address names {endpoint.name}", place="endpoint")
    chosen = parts.catalog.deployment(endpoint.name, chosen_deployment(endpoint, spec.deployment or deployment))
    if isinstance(chosen, PipelineDeployment):
        return pipeline_deployments.invoked(parts, chosen, document, request_key)
    parts.catalog.compute(chosen.compute)
    job = new_job(spec.job_name or str(uuid_utils.uuid7()), chosen, spec.invocation(), now=parts.clock.now())
    try:
        job = located(job, parts.references, parts.fetch)
        parts.inputs.resolve(job.input)
    except InvalidInput as error:
        raise _placed(error, spec, document) from None
    for sink in parts.sinks(job):
        sink.check(job)
    stored = parts.jobs.add(job, idempotency_key=request_key)
    parts.wake()
    return stored


def _placed(error: InvalidInput, spec: InvocationSpec, document: Document) -> InvalidInput:
    """What is said of `input.path` is said of the field that the caller wrote it in."""
    kind, _, field = (error.place or "").partition(".")
    several: dict[str, Sequence[str]] = {"input": list(spec.inputs), "output": list(spec.outputs)}
    named = several.get(kind)
    if named is None or not field or (not named and kind not in document.value):
        return error
    path = (f"{kind}s", named[0], field) if named else (kind, field)
    return document.refusal(path, str(error).removeprefix(f"{error.place}: "))


def job_of(parts: ServiceParts, endpoint_name: str, name: str) -> Job:
    """A job of this endpoint. Raises NotFound, also for a job of another one."""
    job = parts.jobs.get(name)
    if job.endpoint_name != endpoint_name.lower():
        raise NotFound(f"there is no job {name} of endpoint {endpoint_name.lower()}")
    return job


def scoring_uri(request: Request, job: Job) -> str:
    return f"{base_url(request)}/batch-endpoints/{job.endpoint_name}/jobs"


def shown_as_azure(parts: ServiceParts, request: Request, job: Job) -> Shown:
    shown = shown_job(parts, request, job)
    if job.kind is not JobKind.SCORING:
        return azure_work(job, shown, scoring_uri=scoring_uri(request, job))
    return azure_job(
        job,
        shown,
        scoring_uri=scoring_uri(request, job),
        studio=shown["services"]["Studio"]["endpoint"],
        output_folder=shown["outputs"]["score"]["path"],
    )
