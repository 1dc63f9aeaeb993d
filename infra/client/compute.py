"""Compute clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.client.connection import Connection, Document, Documents, segment


class ComputeClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, document: Mapping[str, Any]) -> Document:
        """Create, or replace the settings of one that exists."""
        return self._connection.one("POST", "/compute", body=document)

    def show(self, name: str) -> Document:
        return self._connection.one("GET", f"/compute/{segment(name)}")

    def list(self) -> Documents:
        return self._connection.many("/compute")

    def delete(self, name: str) -> None:
        self._connection.delete(f"/compute/{segment(name)}")
