"""Laws of a pipeline's moves, whatever its shape and whatever becomes of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.components.component import Step
from scoring.components.declared import ValueType
from scoring.components.graph import needs
from scoring.components.jobs import PipelineJob
from scoring.job import Job, JobStatus, NamedOutput
from scoring.pipeline.advance import advanced
from scoring.pipeline.planning import new_pipeline_job
from tests.contract.memory_pipelines import a_pipeline, a_step
from tests.effort import examples

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WAITS = {JobStatus.NOT_STARTED}


@st.composite
def pipelines(draw: st.DrawFn) -> PipelineJob:
    """Any acyclic graph of up to seven steps, written in any order."""
    count = draw(st.integers(1, 7))
    steps: list[Step] = []
    for number in range(count):
        before = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else []
        steps.append(a_step(f"s{number}", after=[f"s{other}" for other in sorted(before)]))
    ordered = draw(st.permutations(steps))
    return a_pipeline(*ordered, continue_on_step_failure=draw(st.booleans()))


@dataclass
class World:
    parent: Job
    steps: dict[str, Job] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)

    def look(self) -> bool:
        """One move; whether it changed anything. Checks what must hold of every move."""
        assert self.parent.pipeline is not None
        before, was_ended = dict(self.steps), self.parent.status.is_terminal
        found = advanced(self.parent, list(self.steps.values()), now=NOW)
        changed = found.parent != self.parent or bool(found.added) or bool(found.changed)
        assert not (was_ended and changed), "what has ended does not change"
        for job in (*found.added, *found.changed):
            assert job.step is not None
            old = before.get(job.step)
            assert old is None or old.may_move(job.status), (old.status, job.status)
            if job.status is JobStatus.QUEUED:
                self.released.append(job.step)
            self.steps[job.step] = job
        self.parent = found.parent
        for step in self.parent.pipeline.component.jobs:
            job = self.steps.get(step.name)
            if job is not None and job.status not in WAITS | {JobStatus.CANCELED, JobStatus.FAILED}:
                for other in needs(step):
                    assert self.steps[other].status is JobStatus.COMPLETED, "it began before what it reads was there"
        assert self.parent.status.is_terminal <= all(job.status.is_terminal for job in self.steps.values())
        return changed

    def rest(self) -> None:
        for _ in range(30):
            if not self.look():
                return
        raise AssertionError("it never comes to rest")

    def at_work(self) -> list[str]:
        return sorted(
            name for name, job in self.steps.items() if not job.status.is_terminal and job.status not in WAITS
        )

    def end(self, name: str, status: JobStatus) -> None:
        job = self.steps[name]
        if job.status is JobStatus.CANCEL_REQUESTED:
            status = JobStatus.CANCELED
        outputs = {"out": NamedOutput(type=ValueType.URI_FOLDER, path=f"/{name}")}
        self.steps[name] = replace(job, status=status, outputs=outputs, status_reason="ended", ended_at=NOW)


ENDS = st.sampled_from([JobStatus.COMPLETED] * 4 + [JobStatus.FAILED, JobStatus.CANCELED])


@given(pipelines(), st.data())
@settings(max_examples=examples(150), deadline=None)
def test_every_pipeline_ends_and_no_step_begins_early_or_twice(pipeline: PipelineJob, data: st.DataObject) -> None:
    world = World(new_pipeline_job("p", pipeline, now=NOW))
    cancels_at = data.draw(st.integers(0, 30), label="cancel after so many looks")
    for number in range(60):
        if data.draw(st.booleans(), label="look"):
            world.look()
        if number == cancels_at and world.parent.may_move(JobStatus.CANCEL_REQUESTED):
            world.parent = world.parent.moved(JobStatus.CANCEL_REQUESTED)
        working = world.at_work()
        if working:
            world.end(data.draw(st.sampled_from(working)), data.draw(ENDS))
    world.rest()
    while working := world.at_work():
        for name in working:
            world.end(name, JobStatus.COMPLETED)
        world.rest()
    assert world.parent.status.is_terminal
    assert len(world.released) == len(set(world.released)), "a step is released once"
    states = {job.status for job in world.steps.values()}
    if world.parent.status is JobStatus.COMPLETED:
        assert states == {JobStatus.COMPLETED}
    elif world.parent.status is JobStatus.FAILED:
        assert states & {JobStatus.FAILED, JobStatus.CANCELED}
        assert world.parent.status_reason


@given(pipelines())
@settings(max_examples=examples(60), deadline=None)
def test_without_a_failure_every_step_runs_once(pipeline: PipelineJob) -> None:
    world = World(new_pipeline_job("p", pipeline, now=NOW))
    world.rest()
    while working := world.at_work():
        world.end(working[-1], JobStatus.COMPLETED)
        world.rest()
    assert world.parent.status is JobStatus.COMPLETED
    assert sorted(world.released) == sorted(step.name for step in pipeline.component.jobs)


@given(pipelines(), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_continuing_loses_only_what_needs_the_failed_step(pipeline: PipelineJob, data: st.DataObject) -> None:
    steps = {step.name: step for step in pipeline.component.jobs}
    broken = data.draw(st.sampled_from(sorted(steps)))
    pipeline = replace(pipeline, settings=replace(pipeline.settings, continue_on_step_failure=True))
    world = World(new_pipeline_job("p", pipeline, now=NOW))
    world.rest()
    while working := world.at_work():
        for name in working:
            world.end(name, JobStatus.FAILED if name == broken else JobStatus.COMPLETED)
        world.rest()

    def is_lost(name: str) -> bool:
        return name == broken or any(is_lost(other) for other in needs(steps[name]))

    assert {name for name, job in world.steps.items() if job.status is not JobStatus.COMPLETED} == {
        name for name in steps if is_lost(name)
    }
    assert world.parent.status is JobStatus.FAILED
