"""Models, data assets, environments and components: the routes that all four have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.components.registered import RegisteredComponent
from scoring.data_asset import DataAsset
from scoring.environment import Environment
from scoring.errors import InvalidInput, NotFound
from scoring.model import Model
from scoring.ports import A, Asset
from scoring.specs.component import CommandComponentSpec, ParallelComponentSpec
from scoring.specs.data import DataSpec
from scoring.specs.document import Document, described
from scoring.specs.environment import EnvironmentSpec
from scoring.specs.model import ModelSpec
from scoring.specs.pipeline import PipelineComponentSpec, parse_component
from scoring.specs.references import LATEST
from scoring.specs.shown_assets import Shown, shown_asset
from scoring.specs.validation import Spec, parse
from storage.archive import packed
from storage.content import Found, files_of

_MAY_CHANGE = ("display_name", "description", "tags", "properties", "stage", "flavors")


@dataclass(frozen=True, kw_only=True)
class AssetRoutes(Generic[A]):
    """What makes one noun of the four.

    parsed  reads a document of it; `spec` is what the documentation shows
    """

    kind: type[A]
    prefix: str
    specs: tuple[type[Spec], ...]
    parsed: Callable[[Document], Spec]
    register: Callable[[ServiceParts, Any], A]
    content: Callable[[ServiceParts, A], Path] | None


def routers(parts: ServiceParts) -> list[APIRouter]:
    return [
        _router(
            parts,
            AssetRoutes(
                kind=Model,
                prefix="/models",
                specs=(ModelSpec,),
                parsed=lambda document: parse(ModelSpec, document),
                register=lambda parts, spec: parts.registration.model(spec),
                content=lambda parts, model: Path(model.path),
            ),
        ),
        _router(
            parts,
            AssetRoutes(
                kind=DataAsset,
                prefix="/data",
                specs=(DataSpec,),
                parsed=lambda document: parse(DataSpec, document),
                register=lambda parts, spec: parts.registration.data(spec),
                content=lambda parts, data: parts.references.path(data.path),
            ),
        ),
        _router(
            parts,
            AssetRoutes(
                kind=Environment,
                prefix="/environments",
                specs=(EnvironmentSpec,),
                parsed=lambda document: parse(EnvironmentSpec, document),
                register=lambda parts, spec: parts.registration.environment(spec),
                content=None,
            ),
        ),
        _router(
            parts,
            AssetRoutes(
                kind=RegisteredComponent,
                prefix="/components",
                specs=(CommandComponentSpec, ParallelComponentSpec, PipelineComponentSpec),
                parsed=parse_component,
                register=lambda parts, spec: parts.components.component(spec),
                content=None,
            ),
        ),
    ]


def _router(parts: ServiceParts, noun: AssetRoutes[A]) -> APIRouter:
    routes = APIRouter(prefix=noun.prefix, tags=[noun.prefix.lstrip("/")])
    _add_reads(routes, parts, noun)
    _add_changes(routes, parts, noun)
    return routes


def _add_reads(routes: APIRouter, parts: ServiceParts, noun: AssetRoutes[A]) -> None:
    @routes.get("", responses=answers(503))
    def list_latest(
        include_archived: bool = False,
        archived_only: bool = False,
        stage: str | None = None,
        max_results: Annotated[int | None, Query(ge=0)] = None,
    ) -> list[Shown]:
        """The latest version of every name; not those that were written into deployments without a name."""
        latest: dict[str, A] = {}
        for asset in _listed(parts.assets.versions(noun.kind), include_archived, archived_only):
            if not asset.is_anonymous and stage in {None, getattr(asset, "stage", None)}:
                latest.setdefault(asset.name, asset)
        return [shown_asset(asset) for asset in latest.values()][:max_results]

    @routes.get("/{name}", responses=answers(404, 503))
    def list_versions(
        name: str,
        include_archived: bool = False,
        archived_only: bool = False,
        stage: str | None = None,
        max_results: Annotated[int | None, Query(ge=0)] = None,
    ) -> list[Shown]:
        """Every version, newest first."""
        versions = parts.assets.versions(noun.kind, name)
        if not versions:
            parts.assets.get(noun.kind, name)  # raises NotFound with the names that exist
        listed = _listed(versions, include_archived, archived_only)
        return [shown_asset(v) for v in listed if stage in {None, getattr(v, "stage", None)}][:max_results]

    @routes.get("/{name}/versions/{version}", responses=answers(404, 503))
    def show(name: str, version: str) -> Shown:
        """`latest` is the version created last that is not archived."""
        return shown_asset(parts.assets.get(noun.kind, name, _version(version)))

    if (content := noun.content) is not None:

        @routes.get("/{name}/versions/{version}/content", responses=answers(400, 404, 503))
        def download(name: str, version: str) -> StreamingResponse:
            """A tar of its files; those of a folder by their path in it."""
            asset = parts.assets.get(noun.kind, name, _version(version))
            return StreamingResponse(_content(content(parts, asset), asset), media_type="application/x-tar")


def _add_changes(routes: APIRouter, parts: ServiceParts, noun: AssetRoutes[A]) -> None:
    @routes.post("", openapi_extra=documented(*noun.specs), responses=answers(400, 404, 409, 503))
    def create(body: Body) -> Shown:
        """Register; without a version under the next one, or the newest one where it holds the same."""
        return shown_asset(noun.register(parts, noun.parsed(body)))

    @routes.put("/{name}/versions/{version}", responses=answers(400, 404, 503))
    def update(name: str, version: str, body: Body) -> Shown:
        """Change what is said about a version: description, tags, properties, and what its kind has beside them.

        A model has a stage and flavors, a component a display name.
        """
        stored = parts.assets.get(noun.kind, name, _version(version))
        changed = _changed(stored, body, noun.parsed)
        parts.assets.put(changed)
        return shown_asset(changed)

    @routes.post("/{name}/archive", status_code=204, responses=answers(404, 503))
    def archive(name: str, version: str | None = None) -> Response:
        """Hide a version, or all of a name, from lists and from `@latest`. It can still be used by its version."""
        parts.registration.archive(noun.kind, name, version, archived=True)
        return Response(status_code=204)

    @routes.post("/{name}/restore", status_code=204, responses=answers(404, 503))
    def restore(name: str, version: str | None = None) -> Response:
        """The opposite of archiving."""
        parts.registration.archive(noun.kind, name, version, archived=False)
        return Response(status_code=204)


def _version(written: str) -> str | None:
    return None if written == LATEST else written


def _listed(versions: Sequence[A], include_archived: bool, archived_only: bool) -> list[A]:
    if archived_only:
        return [asset for asset in versions if asset.is_archived]
    return [asset for asset in versions if include_archived or not asset.is_archived]


def _changed(stored: A, body: Document, parsed: Callable[[Document], Spec]) -> A:
    """Raises InvalidInput for a field that is unknown, or belongs to the content."""
    shown = shown_asset(stored)
    for key, value in body.value.items():
        if key not in shown:
            raise InvalidInput(f"unknown key; allowed: {', '.join(sorted(shown))}", place=key)
        if key not in _MAY_CHANGE and value is not None and value != shown[key]:
            raise InvalidInput(
                f"found {described(value)}, is {described(shown[key])}; a version never changes, register another one",
                place=key,
            )
    checked = parsed(Document(value=shown | dict(body.value)))
    return replace(stored, **{key: getattr(checked, key) for key in _MAY_CHANGE if hasattr(stored, key)})


def _content(path: Path, asset: Asset) -> Iterator[bytes]:
    if isinstance(asset, Model):
        path = next(path.iterdir())  # the folder holds the registered file or folder by its base name
    if path.is_dir():
        found = sorted(files_of(path, "path"), key=lambda file: file.name)
    elif path.is_file():
        found = [Found(source=path, name=path.name)]
    else:
        raise NotFound(f"what azureml:{asset.name}:{asset.version} names is not there any more: {path}")
    return packed(found, "path")
