"""Registering: content goes into the registry under its hash, and a name and a version into the database.

A version never changes what it holds. Without a version in the document the newest one is kept where it holds the same
content, so that `@latest` is always what was registered last; else the next number is taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scoring.data_asset import DataAsset, DataType
from scoring.datastore import DEFAULT_DATASTORE
from scoring.environment import ANONYMOUS_ENVIRONMENT, BuildContext, Environment
from scoring.errors import Conflict, InvalidInput
from scoring.model import Model
from scoring.ports import A, AssetStore, Clock
from scoring.specs.data import DataSpec
from scoring.specs.environment import EnvironmentSpec, InlineEnvironment
from scoring.specs.model import InlineModel, ModelSpec
from scoring.specs.references import DatastorePath, WebAddress, WrittenPath, parse_location
from storage.datastores import Datastores
from storage.references import References
from storage.registry import DATA_FOLDER, Registry, is_hash

ANONYMOUS_MODEL = "anonymous-{}"
ANONYMOUS_DATA = "anonymous-{}"

_HASH_SHOWN = 12
_TRIES = 20


class Registration:
    """Each call is done as a whole or not at all, but for content that nobody names, which does no harm."""

    def __init__(
        self, store: AssetStore, registry: Registry, datastores: Datastores, references: References, clock: Clock
    ) -> None:
        self._store = store
        self._registry = registry
        self._datastores = datastores
        self._references = references
        self._clock = clock

    def model(self, spec: ModelSpec | InlineModel) -> Model:
        """Raises InvalidInput for a path that cannot be read, Conflict for a version with other content."""
        source = self._references.path(spec.path)
        if spec.type == "mlflow_model":
            _check_mlflow(source, spec.path)
        stored = self._registry.add_model(source)
        return self.named(
            Model,
            spec.version,
            lambda version: Model(
                name=spec.name or ANONYMOUS_MODEL.format(stored.content_hash[:_HASH_SHOWN]),
                version=version,
                path=str(stored.path),
                content_hash=stored.content_hash,
                type=spec.type,
                description=spec.description,
                tags=spec.tags,
                properties=spec.properties,
                stage=spec.stage,
                flavors=spec.flavors,
                is_anonymous=spec.name is None,
            ),
        )

    def data(self, spec: DataSpec) -> DataAsset:
        """A local file or folder is copied into the datastore; any other location is kept as it is, and read later.

        Raises InvalidInput for a path that cannot be read or is not of the type, Conflict for a version with other
        content.
        """
        path, content_hash = self._kept_data(spec)
        return self.named(
            DataAsset,
            spec.version,
            lambda version: DataAsset(
                name=spec.name or ANONYMOUS_DATA.format(content_hash[:_HASH_SHOWN]),
                version=version,
                path=path,
                content_hash=content_hash,
                type=DataType(spec.type),
                description=spec.description,
                tags=spec.tags,
                properties=spec.properties,
                is_anonymous=spec.name is None,
            ),
        )

    def environment(self, spec: EnvironmentSpec | InlineEnvironment) -> Environment:
        """Without a name it is anonymous: its version is its content's hash. Raises as `model`."""
        build = self._build(spec)
        inference = None if spec.inference_config is None else spec.inference_config.model_dump()
        content_hash = _hash(
            {
                "image": spec.image,
                "conda_file": spec.conda_file,
                "build": None if build is None else [Path(build.path).name, build.dockerfile_path],
                "os_type": spec.os_type,
                "inference_config": inference,
            }
        )
        return self.named(
            Environment,
            content_hash[:32] if spec.name is None else spec.version,
            lambda version: Environment(
                name=spec.name or ANONYMOUS_ENVIRONMENT,
                version=version,
                content_hash=content_hash,
                image=spec.image,
                conda_file=spec.conda_file,
                build=build,
                os_type=spec.os_type,
                inference_config=inference,
                description=spec.description,
                tags=spec.tags,
                properties=spec.properties,
                is_anonymous=spec.name is None,
            ),
        )

    def archive(self, kind: type[A], name: str, version: str | None, *, archived: bool) -> None:
        """One version, or all there are. Raises NotFound."""
        found = [self._store.get(kind, name, version)] if version is not None else self._store.versions(kind, name)
        if not found:
            self._store.get(kind, name)  # raises, and says which names there are
        for asset in found:
            self._store.put(replace(asset, is_archived=archived))

    def named(self, kind: type[A], version: str | None, made: Callable[[str], A]) -> A:
        """Under this version, or the next one where none is given; `made` is called with it, and has no effects.

        Raises Conflict for a version with other content.
        """
        for _ in range(_TRIES):
            asset = replace(made(version or "0"), created_at=self._clock.now())
            versions = self._store.versions(kind, asset.name)
            newest = next(iter(versions), None)
            if version is None:
                if newest is not None and not newest.is_archived and _is_same(newest, asset):
                    return self._said(newest, asset)
                asset = replace(asset, version=_next_version([v.version for v in versions]))
            elif (stored := next((v for v in versions if v.version == version), None)) is not None:
                if _is_same(stored, asset):
                    return self._said(stored, asset)
                raise Conflict(
                    f"version {version} of {asset.name} exists already with other content; "
                    "a version never changes, register the new content under another one, or leave the version out"
                )
            try:
                self._store.put(asset)
            except Conflict:
                if version is not None:
                    raise
                continue  # somebody else took the number meanwhile
            return self._store.get(kind, asset.name, asset.version)
        name = made("0").name
        raise Conflict(f"{name} was registered by others {_TRIES} times meanwhile; try again or name a version")

    def _said(self, stored: A, given: A) -> A:
        """The same content again: what is newly said about it is kept, what is not said again stays."""
        said = {
            field: getattr(given, field)
            for field in ("display_name", "description", "tags", "properties", "stage", "flavors")
            if getattr(given, field, None)
        }
        changed = replace(stored, **said)
        if changed != stored:
            self._store.put(changed)
        return changed

    def _kept_data(self, spec: DataSpec) -> tuple[str, str]:
        """Where it lies, and its hash."""
        location = parse_location(spec.path)
        if isinstance(location, WebAddress):
            return spec.path, _hash({"path": spec.path})
        source = self._references.path(spec.path)
        _check_type(source, spec.type, spec.path)
        if not isinstance(location, WrittenPath):
            uploaded = _uploaded_hash(location) if isinstance(location, DatastorePath) else None
            return str(location), uploaded or _hash({"path": str(location)})
        datastore = spec.datastore or DEFAULT_DATASTORE
        stored = self._registry.add_data(source, self._datastores.folder(datastore, place="datastore"))
        path = DatastorePath(datastore=datastore, path=f"{DATA_FOLDER}/{stored.path.name}/{source.name}")
        return str(path), stored.content_hash

    def _build(self, spec: InlineEnvironment) -> BuildContext | None:
        if spec.build is None:
            return None
        folder = self._references.path(spec.build.path, place="build.path")
        stored = self._registry.add_build(folder, spec.build.dockerfile_path)
        return BuildContext(path=str(stored.path), dockerfile_path=spec.build.dockerfile_path)


def _uploaded_hash(location: DatastorePath) -> str | None:
    """What `show` prints of local data names its content, which can then be registered again as the same."""
    parts = location.path.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == DATA_FOLDER and is_hash(parts[1]) else None


def _is_same(one: A, other: A) -> bool:
    """The same files read in another way are another thing."""
    return one.content_hash == other.content_hash and getattr(one, "type", None) == getattr(other, "type", None)


def _check_mlflow(source: Path, written: str) -> None:
    found = [source / "MLmodel", *source.glob("*/MLmodel")] if source.is_dir() else []
    if source.exists() and not any(path.is_file() for path in found):
        raise InvalidInput(
            f"{written} holds no file MLmodel; a model without one is of type custom_model", place="path"
        )


def _check_type(source: Path, kind: str, written: str) -> None:
    if not source.exists():
        raise InvalidInput(f"there is no file or folder {written}", place="path")
    if source.is_dir() and kind == "uri_file":
        raise InvalidInput(f"{written} is a folder; its type is uri_folder", place="path")
    if not source.is_dir() and kind != "uri_file":
        raise InvalidInput(f"{written} is a file; its type is uri_file", place="path")
    if kind == "mltable" and not (source / "MLTable").is_file():
        raise InvalidInput(f"{written} holds no file MLTable; a folder without one is of type uri_folder", place="path")


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _next_version(versions: list[str]) -> str:
    return str(max((int(v) for v in versions if v.isascii() and v.isdecimal()), default=0) + 1)
