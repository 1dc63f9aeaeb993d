"""From what a document names to the thing itself: a model, an environment, a data asset, a path of this machine.

`scoring.specs.references` takes the texts apart; here they are looked up. A name without a version, or `@latest`, is
the version created last that is not archived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scoring.components.registered import RegisteredComponent
from scoring.data_asset import DataAsset, DataType
from scoring.environment import Environment
from scoring.errors import InvalidInput, NotFound
from scoring.model import Model
from scoring.ports import A, AssetStore
from scoring.specs.document import described
from scoring.specs.references import (
    DatastorePath,
    JobOutputPath,
    LakeTable,
    Location,
    NamedKind,
    Reference,
    WebAddress,
    WrittenPath,
    parse_location,
    parse_reference,
)
from storage.datastores import Datastores
from storage.local_paths import local_path


@dataclass(frozen=True, kw_only=True)
class ResolvedInput:
    """`path` is an absolute local path, or `https://…`; `type` is the data asset's where one was named, else None.

    asset  the data asset that was named: its version is fixed from here on
    """

    path: str
    type: DataType | None = None
    asset: DataAsset | None = None


class References:
    """`job_output` tells the folder of a job's named output; it raises NotFound."""

    def __init__(
        self, store: AssetStore, datastores: Datastores, *, job_output: Callable[[str, str], Path] | None = None
    ) -> None:
        self._store = store
        self._datastores = datastores
        self._job_output = job_output

    def model(self, text: str, *, place: str = "model") -> Model:
        """Raises InvalidInput for another form, NotFound naming what exists."""
        return self._asset(Model, text, NamedKind.MODEL, place)

    def environment(self, text: str, *, place: str = "environment") -> Environment:
        """As `model`."""
        return self._asset(Environment, text, NamedKind.ENVIRONMENT, place)

    def component(self, text: str, *, place: str = "component") -> RegisteredComponent:
        """As `model`."""
        return self._asset(RegisteredComponent, text, NamedKind.COMPONENT, place)

    def data(self, text: str, *, place: str = "path") -> DataAsset:
        """As `model`."""
        return self._asset(DataAsset, text, NamedKind.DATA, place)

    def path(self, text: str, *, place: str = "path") -> Path:
        """A path of this machine for any form that has one; data assets are followed. It need not exist.

        Raises InvalidInput, naming `place`, for a relative path, a web address, a table, or a store that needs Azure.
        """
        resolved = self._located(self._location(text, place), text, place)
        if isinstance(resolved, WebAddress):
            raise InvalidInput(f"found {described(text)}; wanted a path of this machine, or a datastore's", place=place)
        return resolved

    def input(self, text: str, *, place: str = "input.path") -> ResolvedInput:
        """What a job reads. Raises as `path`, and InvalidInput for a data asset that jobs cannot read (mltable)."""
        location = self._location(text, place)
        asset = None
        if isinstance(location, Reference):
            asset = self.data(text, place=place)
            if asset.type is DataType.MLTABLE:
                raise InvalidInput(
                    f"azureml:{asset.name}:{asset.version} is of type mltable; a job reads uri_file or uri_folder",
                    place=place,
                )
            location = self._location(asset.path, place)
        found = self._located(location, text, place)
        return ResolvedInput(path=str(found), type=asset.type if asset else None, asset=asset)

    def output(self, text: str, *, place: str = "output.path") -> Path:
        """The folder that a job writes to: a local path, or one below a datastore. Raises as `path`."""
        location = self._location(text, place)
        if not isinstance(location, (DatastorePath, WrittenPath)):
            raise InvalidInput(
                f"found {described(text)}; wanted azureml://datastores/NAME/paths/PATH, or a path of this machine",
                place=place,
            )
        return self.path(text, place=place)

    def _asset(self, kind: type[A], text: str, named: NamedKind, place: str) -> A:
        try:
            reference = parse_reference(text, named)
        except InvalidInput as error:
            raise InvalidInput(str(error), place=place) from None
        try:
            return self._store.get(kind, reference.name, reference.version)
        except NotFound as error:
            if "registries/" in text.lower():
                raise NotFound(f"{error}; registries elsewhere cannot be reached from here") from None
            raise

    def _location(self, text: str, place: str) -> Location:
        try:
            return parse_location(text)
        except InvalidInput as error:
            raise InvalidInput(str(error), place=place) from None

    def _located(self, location: Location, text: str, place: str) -> Path | WebAddress:
        if isinstance(location, Reference):
            return self._located(self._location(self.data(text, place=place).path, place), text, place)
        if isinstance(location, DatastorePath):
            return self._datastores.local_path(location, place=place)
        if isinstance(location, JobOutputPath):
            return self._of_job(location, place)
        if isinstance(location, LakeTable):
            raise InvalidInput(f"found {described(text)}, a table of the lake; wanted a file or folder", place=place)
        return location if isinstance(location, WebAddress) else local_path(location.path, place=place)

    def _of_job(self, location: JobOutputPath, place: str) -> Path:
        if self._job_output is None:
            raise InvalidInput(f"{location} names a job's output, which is not known here", place=place)
        folder = self._job_output(location.job, location.output)
        path = folder / location.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InvalidInput(f"{location} leads out of the job's output, by a link", place=place)
        return path
