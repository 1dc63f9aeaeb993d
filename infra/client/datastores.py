"""Datastores: names of folders of the service's machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.client.connection import Connection, Document, Documents, segment


class DatastoresClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, document: Mapping[str, Any]) -> Document:
        """Create or replace; `{"name": …, "type": "local_folder", "path": …}`."""
        return self._connection.one("POST", "/datastores", body=document)

    def update(self, name: str, document: Mapping[str, Any]) -> Document:
        """Replace one that exists; `document` is what `show` gave, changed."""
        return self._connection.one("PUT", _path(name), body=document)

    def show(self, name: str) -> Document:
        return self._connection.one("GET", _path(name))

    def list(self) -> Documents:
        """The built-in ones first."""
        return self._connection.many("/datastores")

    def delete(self, name: str) -> None:
        """The name only; its files stay."""
        self._connection.delete(_path(name))


def _path(name: str) -> str:
    return f"/datastores/{segment(name)}"
