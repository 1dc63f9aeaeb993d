"""Pipelines in memory, over the jobs of a `MemoryJobStore`; and pipelines to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scoring.components.binding import Binding, OutputTarget, StepOutput
from scoring.components.component import CommandComponent, Component, PipelineComponent, Step
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.components.jobs import PipelineJob, PipelineSettings
from scoring.errors import Conflict
from scoring.job import Job, JobKind, JobStatus
from scoring.pipeline.advance import Advance, Decide
from tests.contract.memory import MemoryJobStore


class MemoryPipelineStore:
    """PipelineStore."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs

    def going(self) -> Sequence[str]:
        found = [
            job
            for job in self._jobs._jobs.values()
            if job.kind is JobKind.PIPELINE and not job.status.is_terminal and job.status is not JobStatus.NOT_STARTED
        ]
        return [job.name for job in sorted(found, key=lambda job: str(job.created_at))]

    def advance(self, name: str, decide: Decide) -> Advance:
        with self._jobs._lock:
            parent, children = self._jobs.get(name), self.children(name)
            found = decide(parent, children)
            for job in found.added:
                if job.name in self._jobs._jobs:
                    raise Conflict(f"a job named {job.name} exists already")
            for job in (*found.added, *found.changed, found.parent):
                stored = self._jobs._jobs.get(job.name)
                if job.status is JobStatus.CANCEL_REQUESTED and stored is not None:
                    job = replace(stored, status=job.status, status_reason=job.status_reason)
                self._jobs._jobs[job.name] = job
            return Advance(parent=self._jobs.get(name), changed=tuple(self.children(name)))

    def children(self, name: str) -> Sequence[Job]:
        found = [job for job in self._jobs._jobs.values() if job.parent == name]
        return sorted(found, key=lambda job: (str(job.created_at), job.name))

    def reusable(self, fingerprint: str) -> Sequence[Job]:
        return [
            job
            for job in reversed(self._jobs._jobs.values())
            if job.fingerprint == fingerprint and job.status is JobStatus.COMPLETED and job.reused_from is None
        ]


FOLDER = OutputDeclaration(type=ValueType.URI_FOLDER)
DATA = InputDeclaration(type=ValueType.URI_FOLDER)


def a_command(line: str = "true", *, reads: Sequence[str] = (), **changes: Any) -> CommandComponent:
    """A component with these inputs of data, and one output `out`."""
    fields: dict[str, Any] = {
        "name": "anything",
        "version": "1",
        "command": line,
        "inputs": dict.fromkeys(reads, DATA),
        "outputs": {"out": FOLDER},
    }
    return CommandComponent(**{**fields, **changes})


def a_step(
    name: str,
    line: str = "true",
    *,
    after: Sequence[str] = (),
    component: Component | None = None,
    inputs: Mapping[str, Binding] = {},
    **changes: Any,
) -> Step:
    """A step that reads the output of those before it, as inputs of their names."""
    bound: dict[str, Binding] = {other: StepOutput(step=other, output="out") for other in after}
    component = component or a_command(line, reads=[*after, *inputs])
    return Step(name=name, component=component, inputs={**bound, **inputs}, **changes)


def a_pipeline(*steps: Step, outputs: Mapping[str, OutputTarget] = {}, **settings: Any) -> PipelineJob:
    """Every output that a step binds to the pipeline's is one of it."""
    bound = {target.parent_output for step in steps for target in step.outputs.values()}
    component = PipelineComponent(
        name="line", version="1", jobs=steps, outputs={name: FOLDER for name in bound if name is not None}
    )
    return PipelineJob(component=component, outputs=outputs, settings=PipelineSettings(**settings))
