"""Datastores: names of folders."""

from __future__ import annotations

from fastapi import APIRouter, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.errors import InvalidInput
from scoring.specs.datastore import DATASTORE_SPECS, parse_datastore
from scoring.specs.shown_assets import Shown, shown_datastore


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/datastores", tags=["datastores"])

    @routes.get("", responses=answers(503))
    def list_datastores() -> list[Shown]:
        """The built-in ones first."""
        return [shown_datastore(datastore) for datastore in parts.datastores.all()]

    @routes.post("", openapi_extra=documented(*DATASTORE_SPECS.values()), responses=answers(400, 409, 503))
    def create_datastore(body: Body) -> Shown:
        """Create or replace. Azure's types are kept as descriptions; using one is refused."""
        return shown_datastore(parts.datastores.put(parse_datastore(body).datastore()))

    @routes.get("/{name}", responses=answers(404, 503))
    def show_datastore(name: str) -> Shown:
        return shown_datastore(parts.datastores.get(name))

    @routes.put("/{name}", openapi_extra=documented(*DATASTORE_SPECS.values()), responses=answers(400, 404, 409, 503))
    def update_datastore(name: str, body: Body) -> Shown:
        """Replace one that exists."""
        parts.datastores.get(name)
        datastore = parse_datastore(body).datastore()
        if datastore.name != name:
            raise InvalidInput(f"found '{datastore.name}', but the address names {name}", place="name")
        return shown_datastore(parts.datastores.put(datastore))

    @routes.delete("/{name}", status_code=204, responses=answers(409, 503))
    def delete_datastore(name: str) -> Response:
        """The name only; its files stay."""
        parts.datastores.delete(name)
        return Response(status_code=204)

    return routes
