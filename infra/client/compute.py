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

    def update(self, name: str, document: Mapping[str, Any]) -> Document:
        """Replace the settings of one that exists. Raises NotFound."""
        return self._connection.one("PUT", f"/compute/{segment(name)}", body=document)

    def show(self, name: str) -> Document:
        """Settings, `nodes` by state, `usage` since the service began."""
        return self._connection.one("GET", f"/compute/{segment(name)}")

    def list(self) -> Documents:
        return self._connection.many("/compute")

    def list_nodes(self, name: str) -> Documents:
        """Its instances: node_state, run_id (the job), pids, memory_mb, core_seconds, worker_seconds."""
        return self._connection.many(f"/compute/{segment(name)}/nodes")

    def list_sizes(self) -> Documents:
        return self._connection.many("/compute-sizes")

    def list_usage(self) -> Documents:
        return self._connection.many("/compute-usage")

    def preempt(self, name: str, *, node: str | None = None) -> Document:
        """Take an instance (or all) of a low-priority cluster away. Raises Conflict for a dedicated one.

        `taken_away` of the answer names them; their jobs go on where they were.
        """
        path = f"/compute/{segment(name)}/preempt"
        # asked twice it would take the successors away, too
        return self._connection.one("POST", path, parameters={"node": node}, repeat=False)

    def delete(self, name: str) -> None:
        self._connection.delete(f"/compute/{segment(name)}")
