"""Batch endpoints, and invoking them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from infra.client.connection import Connection, Document, Documents, segment
from infra.client.uploads import Uploads


class BatchEndpointsClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uploads = Uploads(connection)

    def create(self, document: Mapping[str, Any]) -> Document:
        """Create, or replace the description of one that exists; its deployments stay."""
        return self._connection.one("POST", "/batch-endpoints", body=document)

    def update(self, name: str, document: Mapping[str, Any]) -> Document:
        """Replace one that exists; `document` is what `show` gave, changed."""
        return self._connection.one("PUT", _path(name), body=document)

    def show(self, name: str) -> Document:
        return self._connection.one("GET", _path(name))

    def list(self) -> Documents:
        return self._connection.many("/batch-endpoints")

    def delete(self, name: str) -> None:
        """Its deployments go with it, its jobs stay."""
        self._connection.delete(_path(name))

    def invoke(
        self,
        name: str,
        document: Mapping[str, Any],
        *,
        deployment_name: str | None = None,
        request_key: str | None = None,
    ) -> Document:
        """Make a job and return it. The same `request_key` again is the same job; by default each call makes one."""
        headers = {"repeatability_request-id": request_key or str(uuid4())}
        if deployment_name is not None:
            headers["azureml-model-deployment"] = deployment_name
        return self._connection.one(
            "POST", f"{_path(name)}/jobs", body=self._uploads.of_invocation(document), headers=headers
        )

    def list_jobs(self, name: str, *, deployment_name: str | None = None, max_results: int | None = None) -> Documents:
        """Newest first."""
        parameters = {"deployment_name": deployment_name, "max_results": max_results}
        return self._connection.many(f"{_path(name)}/jobs", parameters)


def _path(name: str) -> str:
    return f"/batch-endpoints/{segment(name.lower())}"
