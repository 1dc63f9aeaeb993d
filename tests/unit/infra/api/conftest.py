"""The service over stores in memory and a real registry: requests without a database, a runner or a port."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from infra.api.access import Access
from infra.api.app import create_app
from infra.api.parts import Loop, ServiceParts
from scoring.minibatch import InputItem
from storage.datastores import Datastores
from storage.references import References
from storage.registration import Registration
from storage.registry import Registry
from tests.contract.memory import MemoryCatalog, MemoryInputReader, MemoryJobStore, MemoryScheduleStore, MemorySink
from tests.contract.memory import SettableClock as Clock
from tests.contract.memory_assets import MemoryAssetStore
from tests.contract.memory_tokens import MemoryTokenStore


@dataclass
class MemoryListing:
    catalog: MemoryCatalog
    job_store: MemoryJobStore
    schedule_store: MemoryScheduleStore

    def jobs(
        self,
        *,
        endpoint_name=None,
        deployment_name=None,
        schedule_name=None,
        parent_name=None,
        statuses=(),
        archived=None,
        limit=50,
        offset=0,
    ):
        found = [
            job
            for job in reversed(self.job_store._jobs.values())
            if endpoint_name in {None, job.endpoint_name}
            and deployment_name in {None, job.deployment.name}
            and schedule_name in {None, job.schedule_name}
            and parent_name == job.parent
            and (not statuses or job.status in statuses)
            and archived in {None, job.archived}
        ]
        return found[offset : offset + limit]

    def mini_batches(self, job_name, *, limit=1000, offset=0):
        return []

    def computes(self):
        return list(self.catalog._computes.values())

    def models(self, name=None):
        return [m for m in reversed(self.catalog._models.values()) if name in {None, m.name}]

    def endpoints(self):
        return list(self.catalog._endpoints.values())

    def deployments(self, endpoint_name):
        return [d for d in self.catalog._deployments.values() if d.endpoint_name == endpoint_name]

    def schedules(self):
        return list(self.schedule_store._schedules.values())


@dataclass
class Service:
    """The application and everything behind it. `code` is a folder with score.py, `model` one with a file."""

    http: TestClient
    catalog: MemoryCatalog
    jobs: MemoryJobStore
    schedules: MemoryScheduleStore
    sink: MemorySink
    clock: Clock
    code: Path
    model: Path
    data: Path
    away: list[Exception] = field(default_factory=list)
    wakes: list[int] = field(default_factory=list)
    tokens: MemoryTokenStore = field(default_factory=MemoryTokenStore)

    def deployment(self, **changes: Any) -> dict[str, Any]:
        return {
            "name": "torch",
            "endpoint_name": "pumps",
            "model": {"path": str(self.model)},
            "code_configuration": {"code": str(self.code), "scoring_script": "score.py"},
            "compute": "cpu",
        } | changes

    def ready(self) -> Service:
        """With a compute, an endpoint, and a default deployment."""
        for path, body in (
            ("/compute", {"name": "cpu"}),
            ("/batch-endpoints", {"name": "pumps"}),
            ("/batch-endpoints/pumps/deployments?set_default=true", self.deployment()),
        ):
            response = self.http.post(path, json=body)
            assert response.status_code == 200, response.text
        return self


class Standing:
    """The parts of the test that runs, behind an application that is made once: its routes take longest to make."""

    def __init__(self) -> None:
        self.now: Any = None
        self.loops: list[Loop] = []
        self.tokens = Tokens(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


class Tokens:
    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._standing.now.tokens, name)


@pytest.fixture(scope="session")
def application() -> tuple[Standing, FastAPI]:
    standing = Standing()
    return standing, create_app(standing)


@pytest.fixture
def service(application: tuple[Standing, FastAPI], tmp_path: Path) -> Service:
    code, model, data = tmp_path / "code", tmp_path / "model", tmp_path / "data"
    for folder in (code, model, data):
        folder.mkdir()
    (code / "score.py").write_text("def run(mini_batch):\n    return mini_batch\n")
    (model / "weights").write_text("1 2 3")
    catalog, jobs, schedules, clock = MemoryCatalog(), MemoryJobStore(), MemoryScheduleStore(), Clock()
    sink, away, wakes = MemorySink(), [], []
    assets, registry = MemoryAssetStore(catalog), Registry(tmp_path / "registry")
    datastores = Datastores(tmp_path / "datastores", assets)
    references = References(assets, datastores)

    def ping() -> None:
        if away:
            raise away[0]

    standing, app = application
    standing.now = ServiceParts(
        catalog=catalog,
        assets=assets,
        jobs=jobs,
        keeper=jobs,
        schedules=schedules,
        listing=MemoryListing(catalog, jobs, schedules),
        registry=registry,
        datastores=datastores,
        references=references,
        registration=Registration(assets, registry, datastores, references, clock),
        fetch=lambda url, kind: data,
        inputs=MemoryInputReader({str(data): [InputItem(uri=str(data / "a"), size_bytes=1)]}),
        sinks=lambda job: [sink],
        clock=clock,
        tokens=(tokens := MemoryTokenStore()),
        jobs_folder=tmp_path / "jobs",
        stream=lambda: {"state": "ok", "partitions": []},
        ping=ping,
        wake=lambda: wakes.append(1),
        loops=[],
    )
    for middleware in app.user_middleware:
        if middleware.cls is Access:
            gate = middleware.kwargs["gate"]
            gate.forget()
            gate._hashes = None  # as after a start: nothing of the test before is known
    http = TestClient(app, raise_server_exceptions=False)
    return Service(http, catalog, jobs, schedules, sink, clock, code, model, data, away, wakes, tokens)
