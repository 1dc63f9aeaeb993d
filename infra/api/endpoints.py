"""Batch endpoints."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.specs.document import Document
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
        return to_document(put_endpoint(parts, body), base_url=base_url(request))

    @routes.get("/{name}", responses=answers(404, 503))
    def show_endpoint(request: Request, name: str) -> Shown:
        return to_document(parts.catalog.endpoint(name.lower()), base_url=base_url(request))

    @routes.put("/{name}", openapi_extra=documented(EndpointSpec), responses=answers(400, 404, 503))
    def update_endpoint(request: Request, name: str, body: Body) -> Shown:
        """Replace an endpoint that exists. Its default deployment, if it names one, must exist."""
        parts.catalog.endpoint(name.lower())
        return to_document(put_endpoint(parts, body, named=name, keeps_default=False), base_url=base_url(request))

    @routes.delete("/{name}", status_code=204, responses=answers(409, 503))
    def delete_endpoint(name: str) -> Response:
        """Its deployments go with it; its jobs and their outputs stay. Deleting what is not there is done."""
        delete(parts, name)
        return Response(status_code=204)

    return routes


def put_endpoint(
    parts: ServiceParts, document: Document, *, named: str | None = None, keeps_default: bool = True
) -> Endpoint:
    """Create or replace; its deployments stay. A default deployment that is named must exist.

    keeps_default  a document that names none leaves the default as it is
    """
    endpoint = parse(EndpointSpec, document).endpoint()
    if named is not None and endpoint.name != named.lower():
        raise InvalidInput(f"found '{endpoint.name}', but the address names {named.lower()}", place="name")
    now, before = parts.clock.now(), _before(parts, endpoint.name)
    if before is None:
        endpoint = replace(endpoint, created_at=now)
    else:
        kept = before.default_deployment_name if keeps_default else None
        endpoint = replace(
            endpoint,
            created_at=before.created_at,
            modified_at=now,
            default_deployment_name=endpoint.default_deployment_name or kept,
        )
        if endpoint.default_deployment_name is not None:
            parts.catalog.deployment(endpoint.name, endpoint.default_deployment_name)
    parts.catalog.put(endpoint)
    return parts.catalog.endpoint(endpoint.name)


def delete(parts: ServiceParts, name: str) -> bool:
    """Its deployments go with it. Raises Conflict while a schedule invokes it. False where there was nothing."""
    using = [s.name for s in parts.listing.schedules() if s.endpoint_name == name.lower() and s.is_enabled]
    if using:
        raise Conflict(f"endpoint {name} is invoked by schedule {', '.join(using)}; delete or disable that first")
    found = _before(parts, name.lower())
    if found is not None:
        parts.catalog.delete(found)
    return found is not None


def _before(parts: ServiceParts, name: str) -> Endpoint | None:
    try:
        return parts.catalog.endpoint(name)
    except NotFound:
        return None


def base_url(request: Request) -> str:
    """Where the caller reached the service, for the addresses in answers."""
    return str(request.base_url).rstrip("/")
