"""The client: one attribute a noun."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx2

from infra.client.address import service_token
from infra.client.assets import ComponentsClient, DataClient, EnvironmentsClient, ModelsClient
from infra.client.batch_deployments import BatchDeploymentsClient
from infra.client.batch_endpoints import BatchEndpointsClient
from infra.client.compute import ComputeClient
from infra.client.connection import Connection, Document
from infra.client.datastores import DatastoresClient
from infra.client.jobs import JobsClient
from infra.client.schedules import SchedulesClient
from infra.client.tokens import TokensClient


class TidemillClient:
    """A service at `base_url`. Use it as a context manager, or call `close`.

        with TidemillClient("http://127.0.0.1:8080") as client:
            job = client.batch_endpoints.invoke("pump-health", {"input": {"type": "uri_folder", "path": "/data"}})
            for state in client.jobs.stream(job["name"]):
                print(state["status"])

    timeout_seconds  longest wait for one answer; registering a large model takes its copying
    token            for a service that wants one; None is TIDEMILL_TOKEN, or the token of this machine's own service
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float = 60.0,
        token: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            base_url,
            timeout_seconds=timeout_seconds,
            token=service_token(base_url) if token is None else token,
            transport=transport,
        )
        self.compute = ComputeClient(self._connection)
        self.models = ModelsClient(self._connection)
        self.data = DataClient(self._connection)
        self.environments = EnvironmentsClient(self._connection)
        self.components = ComponentsClient(self._connection)
        self.datastores = DatastoresClient(self._connection)
        self.batch_endpoints = BatchEndpointsClient(self._connection)
        self.batch_deployments = BatchDeploymentsClient(self._connection)
        self.jobs = JobsClient(self._connection)
        self.schedules = SchedulesClient(self._connection)
        self.tokens = TokensClient(self._connection)

    @property
    def base_url(self) -> str:
        return self._connection.base_url

    def health(self) -> Document:
        """What the service says of itself. Raises TryAgain when it is not well or does not answer."""
        return self._connection.one("GET", "/healthz", repeat=False)

    def stream(self) -> Document:
        """How far the stream is, per partition."""
        return self._connection.one("GET", "/stream")

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
