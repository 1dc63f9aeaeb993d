"""Registered models."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.errors import Conflict
from scoring.model import Model
from scoring.specs.model import InlineModel, ModelSpec
from scoring.specs.shown import Shown, to_document
from scoring.specs.validation import parse

_TRIES = 5


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
    stored = parts.registry.add_model(Path(spec.path))
    name = spec.name or f"anonymous-{stored.content_hash[:12]}"
    for _ in range(_TRIES):
        versions = parts.listing.models(name)
        same = next((v for v in versions if v.content_hash == stored.content_hash and v.type == spec.type), None)
        if spec.version is None and same is not None:
            return same
        model = Model(
            name=name,
            version=spec.version or _next_version([version.version for version in versions]),
            path=str(stored.path),
            content_hash=stored.content_hash,
            type=spec.type,
            description=spec.description,
            tags=spec.tags,
            created_at=parts.clock.now(),
        )
        try:
            parts.catalog.put(model)
        except Conflict:
            if spec.version is not None:
                raise
            continue  # somebody else took the number meanwhile
        return parts.catalog.model(name, model.version)
    raise Conflict(f"model {name} was registered by others {_TRIES} times meanwhile; try again or name a version")


def _next_version(versions: list[str]) -> str:
    return str(max((int(v) for v in versions if v.isascii() and v.isdecimal()), default=0) + 1)
