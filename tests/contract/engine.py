"""A whole engine on ports in memory: what tests of the runner, the scheduler and the workers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from scoring.compute.cluster import Compute
from scoring.deployment import CodeConfiguration, Deployment, RetrySettings
from scoring.endpoint import Endpoint
from scoring.invoke import Invocation, new_job
from scoring.job import Job, JobInput, JobInputType
from scoring.minibatch import InputItem
from scoring.model import Model, ModelReference
from scoring.ports import ComputeBackend
from scoring.runner import Patience, Runner, RunnerPorts
from tests.contract.memory import (
    MemoryCatalog,
    MemoryFinisher,
    MemoryInputReader,
    MemoryJobStore,
    MemoryScheduleStore,
    MemorySink,
    SettableClock,
)


class Engine:
    """Stores in memory below one folder, an endpoint `pumps` with a deployment `blue`, a cluster `cluster`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SettableClock()
        self.jobs = MemoryJobStore(self.clock.now)
        self.catalog = MemoryCatalog()
        self.schedules = MemoryScheduleStore()
        self.reader = MemoryInputReader()
        self.sink = MemorySink()
        self.finisher = MemoryFinisher(self.jobs, self.schedules)
        self._numbers = count(1)
        for name in ("code", "model", "jobs", "data"):
            (folder / name).mkdir(exist_ok=True)
        self.catalog.put(Compute(name="cluster", max_instances=4, idle_time_before_scale_down=0))
        self.catalog.put(Endpoint(name="pumps", default_deployment_name="blue"))
        self.catalog.put(Model(name="net", version="1", path=str(folder / "model"), content_hash="0"))
        self.deploy()

    def deploy(self, script: str = "def run(mini_batch):\n    return mini_batch\n", **changes: Any) -> Deployment:
        """Deploy this script as `blue`; changes are fields of Deployment and of RetrySettings."""
        (self.folder / "code" / "score.py").write_text(script)
        known = {name: changes.pop(name) for name in ("max_retries", "timeout", "bisect") if name in changes}
        retry = RetrySettings(**known)
        fields: dict[str, Any] = {
            "name": "blue",
            "endpoint_name": "pumps",
            "model": ModelReference(name="net", version="1"),
            "code_configuration": CodeConfiguration(code=str(self.folder / "code"), scoring_script="score.py"),
            "compute": "cluster",
            "retry_settings": retry,
            "mini_batch_size": 2,
        }
        deployment = Deployment(**{**fields, **changes})
        self.catalog.put(deployment)
        return deployment

    def files(self, number: int, *, path: str = "folder") -> Sequence[InputItem]:
        """Make that many input files and list them as the folder `path`."""
        items = []
        for n in range(number):
            file = self.folder / "data" / f"{path}-{n:04d}.txt"
            file.write_text(str(n))
            items.append(InputItem(uri=str(file), size_bytes=file.stat().st_size))
        self.reader.folders[path] = items
        return items

    def invoke(self, *, path: str = "folder", invocation: Invocation | None = None) -> Job:
        invocation = invocation or Invocation(input=JobInput(type=JobInputType.URI_FOLDER, path=path))
        deployment = self.catalog.deployment("pumps", "blue")
        self.clock.advance(timedelta(milliseconds=1))
        return self.jobs.add(new_job(f"job-{next(self._numbers)}", deployment, invocation, now=self.clock.now()))

    def runner(
        self, compute: ComputeBackend, *, owner: str = "runner", patience: Patience | None = None, **ports: Any
    ) -> Runner:
        fields: dict[str, Any] = {
            "jobs": self.jobs,
            "catalog": self.catalog,
            "reader": self.reader,
            "compute": compute,
            "sinks": lambda job: [self.sink],
            "finisher": self.finisher,
            "clock": self.clock,
            "jobs_folder": self.folder / "jobs",
        }
        return Runner(RunnerPorts(**{**fields, **ports}), owner=owner, patience=patience or Patience())
