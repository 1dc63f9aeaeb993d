"""Batch endpoints."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.specs.endpoint import EndpointSpec
from scoring.specs.shown import Shown, to_document
from scoring.specs.validation import parse


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/batch-endpoints", tags=["batch endpoints"])

    @routes.get("", responses=answers(503))
    def list_endpoints(request: Request) -> list[Shown]:
        return [to_document(endpoint, base_url=base_url(request)) for endpoint in parts.listing.endpoints()]

    @routes.post("", openapi_extra=documented(EndpointSpec), responses=answers(400, 503))
    def create_endpoint(request: Request, body: Body) -> Shown:
        """Create the endpoint, or replace its description where it exists; its deployments stay."""
        endpoint = parse(EndpointSpec, body).endpoint()
        before = _before(endpoint.name)
        if endpoint.default_deployment_name is None and before is not None:
            endpoint = replace(endpoint, default_deployment_name=before.default_deployment_name)
        return to_document(_stored(endpoint), base_url=base_url(request))

    @routes.get("/{name}", responses=answers(404, 503))
    def show_endpoint(request: Request, name: str) -> Shown:
        return to_document(parts.catalog.endpoint(name.lower()), base_url=base_url(request))

    @routes.put("/{name}", openapi_extra=documented(EndpointSpec), responses=answers(400, 404, 503))
    def update_endpoint(request: Request, name: str, body: Body) -> Shown:
        """Replace an endpoint that exists. Its default deployment, if it names one, must exist."""
        endpoint = parse(EndpointSpec, body).endpoint()
        if endpoint.name != name.lower():
            raise InvalidInput(f"found '{endpoint.name}', but the address names {name.lower()}", place="name")
        parts.catalog.endpoint(endpoint.name)
        if endpoint.default_deployment_name is not None:
            parts.catalog.deployment(endpoint.name, endpoint.default_deployment_name)
        return to_document(_stored(endpoint), base_url=base_url(request))

    @routes.delete("/{name}", status_code=204, responses=answers(409, 503))
    def delete_endpoint(name: str) -> Response:
        """Its deployments go with it; its jobs and their outputs stay. Deleting what is not there is done."""
        using = [s.name for s in parts.listing.schedules() if s.endpoint_name == name.lower() and s.is_enabled]
        if using:
            raise Conflict(f"endpoint {name} is invoked by schedule {', '.join(using)}; delete or disable that first")
        try:
            parts.catalog.delete(parts.catalog.endpoint(name.lower()))
        except NotFound:
            pass
        return Response(status_code=204)

    def _before(name: str) -> Endpoint | None:
        try:
            return parts.catalog.endpoint(name)
        except NotFound:
            return None

    def _stored(endpoint: Endpoint) -> Endpoint:
        now, before = parts.clock.now(), _before(endpoint.name)
        if before is None:
            parts.catalog.put(replace(endpoint, created_at=now))
        else:
            parts.catalog.put(replace(endpoint, created_at=before.created_at, modified_at=now))
        return parts.catalog.endpoint(endpoint.name)

    return routes


def base_url(request: Request) -> str:
    """Where the caller reached the service, for the addresses in answers."""
    return str(request.base_url).rstrip("/")
