"""Azure's management addresses for endpoints, deployments and jobs: what scripts call with curl, and SDKs.

Subscription, resource group and workspace are read over: this service is all of them. Everything is done when the
answer comes; the addresses of operations are there for clients that insist on asking.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from infra.api import deployments, endpoints
from infra.api.bodies import Body
from infra.api.endpoints import base_url
from infra.api.errors import answers
from infra.api.invocations import shown_as_azure
from infra.api.jobs import canceled_job
from infra.api.parts import ServiceParts
from scoring.components.jobs import PipelineDeployment
from scoring.endpoint import Endpoint
from scoring.ports import AnyDeployment
from scoring.specs.azure_resources import (
    azure_deployment,
    azure_endpoint,
    azure_pipeline_deployment,
    deployment_document,
    endpoint_document,
)
from scoring.specs.shown import Shown

PREFIX = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices"
    "/workspaces/{workspace}"
)
HISTORY_PREFIX = "/mferp/managementfrontend" + PREFIX

Skip = Annotated[int, Query(alias="$skip", ge=0)]
Top = Annotated[int, Query(alias="$top", ge=1, le=10_000)]


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["Azure's management interface"])
    endpoint_path = PREFIX + "/batchEndpoints/{endpoint_name}"
    deployment_path = endpoint_path + "/deployments/{name}"

    def shown_endpoint(request: Request, endpoint: Endpoint) -> Shown:
        workspace = _workspace(request)
        return azure_endpoint(
            endpoint,
            arm_id=f"{workspace}/batchEndpoints/{endpoint.name}",
            base_url=base_url(request),
            operation=_operation(request),
        )

    def shown_deployment(request: Request, deployment: AnyDeployment) -> Shown:
        workspace = _workspace(request)
        arm_id = f"{workspace}/batchEndpoints/{deployment.endpoint_name}/deployments/{deployment.name}"
        told = {"arm_id": arm_id, "workspace": workspace, "operation": _operation(request)}
        if isinstance(deployment, PipelineDeployment):
            return azure_pipeline_deployment(deployment, **told)
        return azure_deployment(deployment, **told)

    @routes.get(PREFIX + "/batchEndpoints", responses=answers(503))
    def azure_list_endpoints(request: Request) -> Shown:
        return {"value": [shown_endpoint(request, endpoint) for endpoint in parts.listing.endpoints()]}

    @routes.get(endpoint_path, responses=answers(404, 503))
    def azure_show_endpoint(request: Request, endpoint_name: str) -> Shown:
        return shown_endpoint(request, parts.catalog.endpoint(endpoint_name.lower()))

    @routes.put(endpoint_path, responses=answers(400, 404, 503))
    def azure_put_endpoint(request: Request, response: Response, endpoint_name: str, body: Body) -> Shown:
        """Create or replace: properties authMode, defaults.deploymentName, description; tags beside them."""
        put = endpoints.put_endpoint(parts, endpoint_document(body, endpoint_name))
        _done(request, response)
        return shown_endpoint(request, put)

    @routes.delete(endpoint_path, responses=answers(409, 503))
    def azure_delete_endpoint(request: Request, endpoint_name: str) -> Response:
        return _deleted(request, endpoints.delete(parts, endpoint_name))

    @routes.get(endpoint_path + "/deployments", responses=answers(404, 503))
    def azure_list_deployments(request: Request, endpoint_name: str) -> Shown:
        endpoint = parts.catalog.endpoint(endpoint_name.lower())
        return {"value": [shown_deployment(request, found) for found in parts.listing.deployments(endpoint.name)]}

    @routes.get(deployment_path, responses=answers(404, 503))
    def azure_show_deployment(request: Request, endpoint_name: str, name: str) -> Shown:
        return shown_deployment(request, parts.catalog.deployment(endpoint_name.lower(), name))

    @routes.put(deployment_path, responses=answers(400, 404, 409, 503))
    def azure_put_deployment(request: Request, response: Response, endpoint_name: str, name: str, body: Body) -> Shown:
        """Create or replace. `codeId` is a folder of the service's machine, as `PUT /uploads/code/HASH` answers it."""
        document = deployment_document(body, endpoint_name.lower(), name)
        put = deployments.put_deployment(parts, endpoint_name, document)
        _done(request, response)
        return shown_deployment(request, put)

    @routes.delete(deployment_path, responses=answers(503))
    def azure_delete_deployment(request: Request, endpoint_name: str, name: str) -> Response:
        return _deleted(request, deployments.delete(parts, endpoint_name, name))

    @routes.get(PREFIX + "/jobs", responses=answers(503))
    def azure_list_jobs(request: Request, top: Top = 50, skip: Skip = 0) -> Shown:
        found = parts.listing.jobs(limit=top, offset=skip)
        return {"value": [shown_as_azure(parts, request, job) for job in found]}

    @routes.get(PREFIX + "/jobs/{name}", responses=answers(404, 503))
    def azure_show_job(request: Request, name: str) -> Shown:
        return shown_as_azure(parts, request, parts.jobs.get(name))

    @routes.post(PREFIX + "/jobs/{name}/cancel", status_code=202, responses=answers(404, 409, 503))
    def azure_cancel_job(request: Request, name: str) -> Shown:
        return shown_as_azure(parts, request, canceled_job(parts, name))

    @routes.get(HISTORY_PREFIX + "/batchEndpoints/{endpoint_name}/jobs", responses=answers(503))
    @routes.get(
        HISTORY_PREFIX + "/batchEndpoints/{endpoint_name}/deployments/{deployment_name}/jobs", responses=answers(503)
    )
    def azure_list_jobs_of_endpoint(
        request: Request, endpoint_name: str, deployment_name: str | None = None, skip: Skip = 0
    ) -> Shown:
        found = parts.listing.jobs(endpoint_name=endpoint_name.lower(), deployment_name=deployment_name, offset=skip)
        return {"value": [shown_as_azure(parts, request, job) for job in found]}

    @routes.get(PREFIX + "/operations/{operation}")
    def azure_show_operation(operation: str) -> Shown:
        """Changes are made before they are answered: each has succeeded."""
        return {"id": operation, "name": operation, "status": "Succeeded", "percentComplete": 100, "error": None}

    return routes


def _workspace(request: Request) -> str:
    path = PREFIX
    for name in ("subscription", "group", "workspace"):
        path = path.replace("{" + name + "}", request.path_params[name])
    return path


def _operation(request: Request) -> str:
    return f"{base_url(request)}{_workspace(request)}/operations/{request.scope['request_id']}"


def _done(request: Request, response: Response) -> None:
    response.headers["azure-asyncoperation"] = _operation(request)
    response.headers["location"] = str(request.url.replace(query=""))


def _deleted(request: Request, was_there: bool) -> Response:
    """202 and an operation to ask for where something went, 204 where nothing was there."""
    response = Response(status_code=202 if was_there else 204)
    if was_there:
        _done(request, response)
        response.headers["location"] = _operation(request)
    return response
