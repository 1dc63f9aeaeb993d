"""Deployments of a batch endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.client.connection import Connection, Document, Documents, segment
from infra.client.uploads import Uploads


class BatchDeploymentsClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uploads = Uploads(connection)

    def create(
        self,
        endpoint_name: str,
        document: Mapping[str, Any],
        *,
        set_default: bool = False,
        skip_script_validation: bool = False,
    ) -> Document:
        """Create or replace; with `set_default` the endpoint's invocations go to it from now on."""
        return self._connection.one(
            "POST",
            _path(endpoint_name),
            body=self._uploads.of_deployment(document),
            parameters={"set_default": set_default, "skip_script_validation": skip_script_validation},
        )

    def update(
        self, endpoint_name: str, name: str, document: Mapping[str, Any], *, skip_script_validation: bool = False
    ) -> Document:
        """Replace one that exists; `document` is what `show` gave, changed."""
        return self._connection.one(
            "PUT",
            f"{_path(endpoint_name)}/{segment(name)}",
            body=self._uploads.of_deployment(document),
            parameters={"skip_script_validation": skip_script_validation},
        )

    def show(self, endpoint_name: str, name: str) -> Document:
        return self._connection.one("GET", f"{_path(endpoint_name)}/{segment(name)}")

    def list(self, endpoint_name: str) -> Documents:
        return self._connection.many(_path(endpoint_name))

    def list_jobs(self, endpoint_name: str, name: str, *, max_results: int | None = None) -> Documents:
        """Newest first; also of a deployment that is gone."""
        path = f"/batch-endpoints/{segment(endpoint_name.lower())}/jobs"
        return self._connection.many(path, {"deployment_name": name, "max_results": max_results})

    def delete(self, endpoint_name: str, name: str) -> None:
        self._connection.delete(f"{_path(endpoint_name)}/{segment(name)}")


def _path(endpoint_name: str) -> str:
    return f"/batch-endpoints/{segment(endpoint_name.lower())}/deployments"
