"""Registered models."""

from __future__ import annotations

from fastapi import APIRouter

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.model import Model
from scoring.specs.model import InlineModel, ModelSpec
from scoring.specs.shown import Shown, to_document
from scoring.specs.validation import parse


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/models", tags=["models"])

    @routes.get("", responses=answers(503))
    def list_models() -> list[Shown]:
        """The latest version of every model."""
        latest: dict[str, Model] = {}
        for model in parts.listing.models():
            latest.setdefault(model.name, model)
        return [to_document(model) for model in latest.values()]

    @routes.post("", openapi_extra=documented(ModelSpec), responses=answers(400, 409, 503))
    def create_model(body: Body) -> Shown:
        """Register a file or folder of this machine; without a version, under the next one."""
        return to_document(register(parts, parse(ModelSpec, body)))

    @routes.get("/{name}", responses=answers(404, 503))
    def list_versions(name: str) -> list[Shown]:
        """Every version, newest first."""
        parts.catalog.model(name)  # raises NotFound with the names that exist
        return [to_document(model) for model in parts.listing.models(name)]

    @routes.get("/{name}/versions/{version}", responses=answers(404, 503))
    def show_model(name: str, version: str) -> Shown:
        """`latest` is the version created last."""
        return to_document(parts.catalog.model(name, None if version == "latest" else version))

    return routes


def register(parts: ServiceParts, spec: ModelSpec | InlineModel) -> Model:
    """Copy the model into the registry and name it. The same content again is the same version.

    Raises InvalidInput for a path that cannot be read, Conflict for a version that has other content already.
    """
    return parts.registration.model(spec)
