"""An engine whose runner also runs commands: real processes, stores in memory."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from scoring.components.jobs import CommandJob, PipelineJob
from scoring.compute.fleet import Fleet
from scoring.job import Job
from scoring.pipeline.command_process import CommandProcess
from scoring.pipeline.conductor import Conductor
from scoring.pipeline.planning import new_command_job, new_pipeline_job
from scoring.pipeline.step_ports import StepPorts
from scoring.runner import Runner
from tests.contract.engine import Engine
from tests.contract.memory_pipelines import MemoryPipelineStore, a_command


class Steps(Engine):
    """`fleet` has the instances of `cluster`; `registered` what outputs were given names."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fleet = Fleet(drop=lambda place: None)
        self.pipelines = MemoryPipelineStore(self.jobs)
        self.registered: list[tuple[str, str, str, str | None]] = []
        self.steps = StepPorts(
            commands=CommandProcess(self.fleet),
            interpreter=lambda deployment: sys.executable,
            reusable=self.pipelines.reusable,
            register=lambda job, output, written, name, version: self.registered.append(
                (job.name, output, name, version)
            ),
        )
        self.conductor = Conductor(self.pipelines, now=self.clock.now, jobs_folder=folder / "jobs")

    def command(self, line: str, *, name: str = "job-1", **changes: Any) -> Job:
        """Queued, with one output `out`; changes are fields of CommandJob, or of its component."""
        own = {key: changes.pop(key) for key in ("inputs", "timeout", "outputs") if key in changes}
        component = a_command(line, **changes)
        job = CommandJob(component=component, compute="cluster", **own)
        return self.jobs.add(new_command_job(name, job, now=self.clock.now()))

    def pipeline(self, pipeline: PipelineJob, *, name: str = "p") -> Job:
        return self.jobs.add(new_pipeline_job(name, pipeline, now=self.clock.now()))

    def worker(self, **ports: Any) -> Runner:
        from scoring.compute.inline import InlineCompute

        return self.runner(InlineCompute(lambda batch: ["x"] * len(batch.items)), steps=self.steps, **ports)

    def run(self, name: str = "job-1", *, limit: float = 120, stop: threading.Event | None = None) -> Job:
        """Everything that waits, until this job has ended."""
        runner, ends = self.worker(), time.monotonic() + limit
        while not (job := self.jobs.get(name)).status.is_terminal:
            assert time.monotonic() < ends, f"waited {limit} s for the end of {job}"
            self.conductor.look()
            runner.run_one(stop)
            if stop is not None and stop.is_set():
                return self.jobs.get(name)
        return job

    def log(self, name: str = "job-1") -> str:
        return (self.folder / "jobs" / name / "user_logs" / "std_log_0.txt").read_text()

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
