"""Worker processes of this machine: mini-batches are handed to idle ones, dead and stuck ones are replaced."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scoring.compute.cluster import Compute
from scoring.compute.job_run import JobRun, Slot
from scoring.compute.news import ComputeNews, no_news
from scoring.compute.pool import WorkerPool
from scoring.compute.workplace import Workplace
from scoring.deployment import Deployment
from scoring.errors import JobFailed
from scoring.job import Job, JobStatus
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
    ) -> None:
        """`compute_of` finds a cluster by name; `folder` takes what workers print outside of any job.

        `interpreter_of` gives the path of the Python that a deployment's workers run in (3.8 or newer, nothing of
        tidemill needs to be installed there); it is asked once a job, and may raise JobFailed.
        """
        self._compute_of = compute_of
        self._interpreter_of = interpreter_of
        self.pool = WorkerPool(folder)

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
        instances = min(job.deployment.instance_count, cluster.max_instances)
        if instances < 1:
            raise JobFailed(f"compute {cluster.name} has max_instances {cluster.max_instances}: it can run nothing")
        python = self._interpreter_of(job.deployment)
        key = _key(python, job.deployment)
        place = Workplace(job, job_folder)
        slots = [
            Slot(
                node=f"node{node}",
                process=f"process{process:03d}",
                message=place.message(
                    node=f"node{node}",
                    process=f"process{process:03d}",
                    nodes=instances,
                    model_path=model_path,
                    manifest=manifest,
                ),
            )
            # one process of each instance before the second of any
            for process in range(job.deployment.max_concurrency_per_instance)
            for node in range(instances)
        ]
        run = JobRun(
            job=job,
            place=place,
            slots=slots[: len(mini_batches)],
            pending=mini_batches,
            take=lambda: self.pool.take(key, python),
            give_back=lambda worker: self.pool.give_back(key, worker, keep=cluster.idle_time_before_scale_down),
            on_result=on_result,
            should_stop=should_stop,
            on_news=on_news,
        )
        on_news(ComputeNews(status=JobStatus.STARTING, phase="starting workers"))
        run.score_all()

    def close(self) -> None:
        self.pool.close()


def _key(python: str, deployment: Deployment) -> str:
    """What a warm process may be used for again. Not by endpoint: two deployments of one code share their imports."""
    parts = [python, deployment.code_configuration.code, sorted(deployment.environment_variables.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
