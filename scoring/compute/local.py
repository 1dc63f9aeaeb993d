"""Worker processes of this machine: mini-batches are handed to idle ones, dead and stuck ones are replaced."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.compute.cluster import Compute
from scoring.compute.fleet import Fleet, Instance
from scoring.compute.job_run import JobRun, Slot
from scoring.compute.news import ComputeNews, no_news
from scoring.compute.pool import Recipe, WorkerPool
from scoring.compute.preload import imports_of
from scoring.compute.process import WorkerProcess
from scoring.compute.processor_time import resident_bytes
from scoring.compute.workplace import Workplace
from scoring.deployment import Deployment
from scoring.errors import JobFailed
from scoring.job import Job
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatch, MiniBatchResult


class LocalCompute:
    """ComputeBackend. An instance is a group of `max_concurrency_per_instance` processes; jobs may run side by side."""

    def __init__(
        self,
        compute_of: Callable[[str], Compute],
        *,
        folder: Path,
        interpreter_of: Callable[[Deployment], str] = lambda deployment: sys.executable,
        most_waiting: float = math.inf,
        on_free: Callable[[], None] = lambda: None,
    ) -> None:
        """`compute_of` finds a cluster by name; `folder` takes what workers print outside of any job.

        `interpreter_of` gives the path of the Python that a deployment's workers run in (3.8 or newer, nothing of
        tidemill needs to be installed there); it is asked once a job, and may raise JobFailed. The others are the
        fleet's.
        """
        self._compute_of = compute_of
        self._interpreter_of = interpreter_of
        self.pool = WorkerPool(folder, keep=lambda name: self.fleet.keep(name), on_sweep=lambda: self.fleet.sweep())
        self.fleet = Fleet(
            drop=self.pool.drop,
            idle_pids=self.pool.idle_pids,
            memory_of=resident_bytes,
            most_waiting=most_waiting,
            on_free=on_free,
        )

    def run(
        self,
        job: Job,
        mini_batches: Sequence[MiniBatch],
        *,
        manifest: Manifest,
        model_path: str,
        job_folder: Path,
        on_result: Callable[[MiniBatchResult], None],
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None] = no_news,
    ) -> None:
        cluster = self._compute_of(job.deployment.compute)
        if min(job.deployment.instance_count, cluster.max_instances) < 1:
            raise JobFailed(f"compute {cluster.name} has max_instances {cluster.max_instances}: it can run nothing")
        place = Workplace(job, job_folder)
        supply = _Supply(
            fleet=self.fleet,
            pool=self.pool,
            cluster=cluster,
            job=job,
            recipe=_recipe(self._interpreter_of(job.deployment), job.deployment),
            message_of=lambda slot: (
                place.message(
                    node=slot.instance.name,
                    process=slot.process,
                    nodes=supply.instances,
                    model_path=model_path,
                    manifest=manifest,
                )
                | {"memory_limit": None if cluster.worker_memory_mb is None else cluster.worker_memory_mb << 20}
            ),
        )
        JobRun(
            job=job,
            place=place,
            supply=supply,
            pending=mini_batches,
            on_result=on_result,
            should_stop=should_stop,
            on_news=on_news,
        ).score_all()

    def warm_up(self, deployment: Deployment, cluster: Compute) -> None:
        """Make what the deployment imports ready before its first job. Raises OSError, JobFailed."""
        self.pool.warm_up(_recipe(self._interpreter_of(deployment), deployment), cluster.name)

    def close(self) -> None:
        self.pool.close()


@dataclass(frozen=True, kw_only=True)
class _Supply:
    """job_run.Supply: instances of the fleet, processes of the pool."""

    fleet: Fleet
    pool: WorkerPool
    cluster: Compute
    job: Job
    recipe: Recipe
    message_of: Callable[[Slot], dict[str, Any]]

    @property
    def instances(self) -> int:
        return min(self.job.deployment.instance_count, self.cluster.max_instances)

    def acquire(self, count: int) -> Sequence[Instance]:
        return self.fleet.acquire(self.cluster, self.job.name, count)

    def release(self, instance: Instance) -> None:
        self.fleet.release(instance)

    def take(self, instance: Instance) -> WorkerProcess:
        return self.pool.take(instance.place, self.recipe)

    def give_back(self, instance: Instance, worker: WorkerProcess) -> None:
        self.pool.give_back(instance.place, self.recipe, worker)

    def never_spoke(self, worker: WorkerProcess) -> bool:
        return self.pool.never_spoke(self.recipe, worker)

    def message(self, slot: Slot) -> dict[str, Any]:
        return self.message_of(slot)


def _recipe(python: str, deployment: Deployment) -> Recipe:
    """Not by endpoint: two deployments of one code share their imports."""
    script = deployment.script
    variables = {name: str(value) for name, value in deployment.environment_variables.items()}
    parts = [python, script.code, script.scoring_script, sorted(variables.items())]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    imports = imports_of(Path(script.code), script.scoring_script)
    return Recipe(key=key, python=python, imports=imports, variables=variables)
