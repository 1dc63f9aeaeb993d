"""Schedules that invoke endpoints by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.client.connection import Connection, Document, Documents, segment


class SchedulesClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, document: Mapping[str, Any]) -> Document:
        """Create or replace; a replaced schedule remembers what it has scored."""
        return self._connection.one("POST", "/schedules", body=document)

    def show(self, name: str) -> Document:
        return self._connection.one("GET", _path(name))

    def list(self) -> Documents:
        return self._connection.many("/schedules")

    def enable(self, name: str) -> Document:
        return self._connection.one("POST", f"{_path(name)}/enable")

    def disable(self, name: str) -> Document:
        return self._connection.one("POST", f"{_path(name)}/disable")

    def trigger(self, name: str) -> Document:
        """Let it fire at once; the job is made by the scheduler a moment later."""
        return self._connection.one("POST", f"{_path(name)}/trigger")

    def delete(self, name: str) -> None:
        self._connection.delete(_path(name))


def _path(name: str) -> str:
    return f"/schedules/{segment(name)}"
