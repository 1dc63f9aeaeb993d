"""Models, data assets, environments and components: versions that never change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.client.connection import Connection, Document, Documents, segment
from infra.client.uploads import BUILDS, DATA, MODELS, Uploads
from storage.archive import unpack


class AssetsClient:
    """What the four nouns share. `version` is a version, or `latest`."""

    prefix: str

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uploads = Uploads(connection)

    def create(self, document: Mapping[str, Any]) -> Document:
        """Register. Without a version it is the next one, or the newest where that holds the same."""
        return self._connection.one("POST", self.prefix, body=self._handed_over(document))

    def show(self, name: str, version: str = "latest") -> Document:
        return self._connection.one("GET", self._path(name, version))

    def list(
        self,
        name: str | None = None,
        *,
        include_archived: bool = False,
        archived_only: bool = False,
        max_results: int | None = None,
        stage: str | None = None,
    ) -> Documents:
        """The latest version of each name, or all versions of one, newest first."""
        path = self.prefix if name is None else f"{self.prefix}/{segment(name)}"
        parameters = {
            "include_archived": include_archived or None,
            "archived_only": archived_only or None,
            "max_results": max_results,
            "stage": stage,
        }
        return self._connection.many(path, parameters)

    def update(self, name: str, version: str, document: Mapping[str, Any]) -> Document:
        """Change what is said about a version; `document` is what `show` gave, changed."""
        return self._connection.one("PUT", self._path(name, version), body=document)

    def archive(self, name: str, version: str | None = None) -> None:
        """Hide a version, or all of a name; `restore` shows it again."""
        self._archive(name, version, "archive")

    def restore(self, name: str, version: str | None = None) -> None:
        self._archive(name, version, "restore")

    def _archive(self, name: str, version: str | None, verb: str) -> None:
        self._connection.act(f"{self.prefix}/{segment(name)}/{verb}", {"version": version})

    def _download(self, name: str, version: str, folder: str | Path) -> Path:
        target = Path(folder).expanduser().absolute() / name
        target.mkdir(parents=True, exist_ok=True)
        with self._connection.received(f"{self._path(name, version)}/content") as stream:
            unpack(stream, target)
        return target

    def _handed_over(self, document: Mapping[str, Any]) -> Document:
        return dict(document)

    def _path(self, name: str, version: str) -> str:
        return f"{self.prefix}/{segment(name)}/versions/{segment(version)}"


class ModelsClient(AssetsClient):
    """Registered models."""

    prefix = "/models"

    def download(self, name: str, version: str = "latest", folder: str | Path = ".") -> Path:
        """Write the model's files below `folder/name`, over those that are there; returns that folder."""
        return self._download(name, version, folder)

    def _handed_over(self, document: Mapping[str, Any]) -> Document:
        return self._uploads.field(document, "path", MODELS)


class DataClient(AssetsClient):
    """Data assets."""

    prefix = "/data"

    def download(self, name: str, version: str = "latest", folder: str | Path = ".") -> Path:
        """As a model's."""
        return self._download(name, version, folder)

    def _handed_over(self, document: Mapping[str, Any]) -> Document:
        return self._uploads.field(document, "path", DATA)


class EnvironmentsClient(AssetsClient):
    """Environments."""

    prefix = "/environments"

    def _handed_over(self, document: Mapping[str, Any]) -> Document:
        """`conda_file` may be a path here; the service gets what the file says."""
        given = self._uploads.field(document, "build.path", BUILDS)
        conda = given.get("conda_file")
        if not isinstance(conda, str):
            return given
        from scoring.specs.document import read_document

        return {**given, "conda_file": dict(read_document(conda).value)}


class ComponentsClient(AssetsClient):
    """Components: steps of pipelines, and pipelines."""

    prefix = "/components"

    def _handed_over(self, document: Mapping[str, Any]) -> Document:
        """Code, folders to build from and data may be paths here; components within it are written out, or named."""
        return self._uploads.of_job(document)
