"""Compute clusters."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.errors import NotFound
from scoring.specs.compute import ComputeSpec
from scoring.specs.shown import Shown, to_document
from scoring.specs.validation import parse


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/compute", tags=["compute"])

    @routes.get("", responses=answers(503))
    def list_computes() -> list[Shown]:
        return [to_document(compute) for compute in parts.listing.computes()]

    @routes.post("", openapi_extra=documented(ComputeSpec), responses=answers(400, 503))
    def create_compute(body: Body) -> Shown:
        """Create the cluster, or replace its settings where it exists."""
        compute = parse(ComputeSpec, body).compute()
        parts.catalog.put(replace(compute, created_at=parts.clock.now()))
        return to_document(parts.catalog.compute(compute.name))

    @routes.get("/{name}", responses=answers(404, 503))
    def show_compute(name: str) -> Shown:
        return to_document(parts.catalog.compute(name))

    @routes.delete("/{name}", status_code=204, responses=answers(503))
    def delete_compute(name: str) -> Response:
        """Deployments that name it stay, and cannot be invoked until it is there again."""
        try:
            parts.catalog.delete(parts.catalog.compute(name))
        except NotFound:
            pass
        return Response(status_code=204)

    return routes
