"""Registered models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.client.connection import Connection, Document, Documents, segment


class ModelsClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, document: Mapping[str, Any]) -> Document:
        """Register a file or folder of the service's machine; `path` is absolute."""
        return self._connection.one("POST", "/models", body=document)

    def show(self, name: str, version: str = "latest") -> Document:
        return self._connection.one("GET", f"/models/{segment(name)}/versions/{segment(version)}")

    def list(self, name: str | None = None) -> Documents:
        """The latest version of each model, or all versions of one, newest first."""
        path = "/models" if name is None else f"/models/{segment(name)}"
        return self._connection.many(path)
