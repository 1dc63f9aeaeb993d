"""What a pipeline's next move is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scoring.components.binding import DataReference, LiteralValue, OutputTarget, StepOutput
from scoring.components.component import PipelineComponent
from scoring.components.declared import InputDeclaration, ValueType
from scoring.components.jobs import PipelineJob
from scoring.job import Job, JobKind, JobStatus, JobUsage, NamedOutput
from scoring.pipeline.advance import advanced
from scoring.pipeline.planning import new_pipeline_job
from tests.contract.memory_pipelines import DATA, FOLDER, a_command, a_pipeline, a_step

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class World:
    """A pipeline and its children as a store would hold them."""

    def __init__(self, pipeline: PipelineJob) -> None:
        self.parent = new_pipeline_job("p", pipeline, now=NOW)
        self.steps: dict[str, Job] = {}

    def go(self) -> None:
        for _ in range(20):
            found = advanced(self.parent, list(self.steps.values()), now=NOW)
            before = (self.parent, dict(self.steps))
            self.parent = found.parent
            for job in (*found.added, *found.changed):
                assert job.step is not None
                self.steps[job.step] = job
            if (self.parent, self.steps) == before:
                return
        raise AssertionError("it never comes to rest")

    def end(self, step: str, status: JobStatus = JobStatus.COMPLETED, **changes: object) -> None:
        job = self.steps[step]
        outputs = {"out": NamedOutput(type=ValueType.URI_FOLDER, path=f"/jobs/{job.name}/out")}
        changed = {"outputs": outputs, "status_reason": f"{step} ended", **changes}
        self.steps[step] = replace(job, status=status, **changed)  # type: ignore[arg-type]
        self.go()

    @property
    def states(self) -> Mapping[str, str]:
        return {name: job.status.value for name, job in self.steps.items()}


def begun(pipeline: PipelineJob) -> World:
    world = World(pipeline)
    world.go()
    return world


def diamond(**settings: object) -> World:
    return begun(
        a_pipeline(
            a_step("first"),
            a_step("left", after=["first"]),
            a_step("right", after=["first"]),
            a_step("last", after=["left", "right"]),
            **settings,
        )
    )


def test_steps_start_when_what_they_read_is_there() -> None:
    world = diamond()
    waits = "NotStarted"
    assert world.states == {"first": "Queued", "left": waits, "right": waits, "last": waits}
    assert world.parent.status is JobStatus.RUNNING
    world.end("first")
    assert world.states == {"first": "Completed", "left": "Queued", "right": "Queued", "last": waits}
    left = world.steps["left"].command
    assert left is not None
    assert left.inputs == {"first": DataReference(path="/jobs/p.first/out", type=ValueType.URI_FOLDER)}
    world.end("left")
    assert world.states["last"] == waits
    world.end("right")
    assert world.states["last"] == "Queued"
    assert world.parent.status_reason == "3 of 4 steps have ended; under way: last"
    world.end("last")
    assert world.parent.status is JobStatus.COMPLETED
    assert world.parent.ended_at == NOW


def test_children_are_named_after_their_pipeline() -> None:
    world = diamond()
    assert [job.name for job in world.steps.values()] == ["p.first", "p.left", "p.right", "p.last"]
    assert {(job.parent, job.kind) for job in world.steps.values()} == {("p", JobKind.COMMAND)}


def test_a_failed_step_stops_the_pipeline() -> None:
    world = diamond()
    world.end("first")
    world.steps["right"] = replace(world.steps["right"], status=JobStatus.RUNNING, lease_owner="me")
    world.end("left", JobStatus.FAILED, error="Traceback …")
    assert world.states == {
        "first": "Completed",
        "left": "Failed",
        "right": "CancelRequested",
        "last": "Canceled",
    }
    assert world.parent.status is JobStatus.RUNNING
    world.end("right", JobStatus.CANCELED)
    assert world.parent.status is JobStatus.FAILED
    assert world.parent.status_reason == "step left failed: left ended"
    assert world.parent.error == "Traceback …"


def test_with_continue_on_step_failure_what_does_not_need_the_step_goes_on() -> None:
    world = diamond(continue_on_step_failure=True)
    world.end("first")
    world.end("left", JobStatus.FAILED)
    assert world.states == {"first": "Completed", "left": "Failed", "right": "Queued", "last": "Canceled"}
    assert world.steps["last"].status_reason == "step left, whose output it reads, failed"
    world.end("right")
    assert world.parent.status is JobStatus.FAILED
    assert "step left failed" in str(world.parent.status_reason)


def test_a_cancel_goes_to_all_steps_and_waits_for_them() -> None:
    world = diamond()
    world.end("first")
    world.steps["left"] = replace(world.steps["left"], status=JobStatus.RUNNING, lease_owner="me")
    world.steps["right"] = replace(world.steps["right"], status=JobStatus.FINALIZING, lease_owner="me")
    world.parent = world.parent.moved(JobStatus.CANCEL_REQUESTED)
    world.go()
    assert world.states == {
        "first": "Completed",
        "left": "CancelRequested",
        "right": "Finalizing",  # its outputs are being written: it completes
        "last": "Canceled",
    }
    assert world.parent.status is JobStatus.CANCEL_REQUESTED
    world.end("left", JobStatus.CANCELED)
    world.end("right")
    assert world.parent.status is JobStatus.CANCELED


def test_a_pipeline_that_was_canceled_before_it_began_ends() -> None:
    world = World(a_pipeline(a_step("only")))
    world.parent = world.parent.moved(JobStatus.CANCEL_REQUESTED)
    world.go()
    assert world.parent.status is JobStatus.CANCELED
    assert world.steps == {}


def test_a_step_that_its_user_canceled_fails_the_pipeline() -> None:
    world = begun(a_pipeline(a_step("only")))
    world.end("only", JobStatus.CANCELED, status_reason="canceled by its user")
    assert world.parent.status is JobStatus.FAILED
    assert world.parent.status_reason == "step only was canceled: canceled by its user"


def test_a_pipelines_outputs_are_those_of_its_steps() -> None:
    step = a_step("only", outputs={"out": OutputTarget(parent_output="result")})
    world = begun(a_pipeline(step, outputs={"result": OutputTarget(path="/there", name="asset")}))
    command = world.steps["only"].command
    assert command is not None
    assert command.outputs["out"].path == "/there"
    assert command.outputs["out"].name == "asset"
    world.end("only")
    assert world.parent.outputs == {"result": world.steps["only"].outputs["out"]}


def test_a_pipeline_costs_what_its_steps_cost() -> None:
    world = begun(a_pipeline(a_step("a"), a_step("b")))
    world.end("a", usage=JobUsage(worker_seconds=2.0, core_seconds=1.0, instances=1, processes=1))
    world.end("b", usage=JobUsage(worker_seconds=3.0, core_seconds=0.5, instances=1, processes=1))
    assert world.parent.usage == JobUsage(worker_seconds=5.0, core_seconds=1.5, instances=1, processes=1)
    assert (world.parent.progress.items, world.parent.progress.items_succeeded) == (2, 2)


def test_a_pipeline_within_a_pipeline_is_a_child_with_children() -> None:
    inner = PipelineComponent(
        name="inner",
        version="1",
        jobs=(a_step("deep", outputs={"out": OutputTarget(parent_output="out")}),),
        inputs={"first": DATA},
        outputs={"out": FOLDER},
    )
    world = begun(
        a_pipeline(
            a_step("first"),
            a_step("middle", component=inner, inputs={"first": StepOutput(step="first", output="out")}),
            a_step("last", after=["middle"]),
        )
    )
    world.end("first")
    middle = world.steps["middle"]
    assert (middle.kind, middle.status) == (JobKind.PIPELINE, JobStatus.QUEUED)
    assert middle.pipeline is not None
    assert middle.pipeline.inputs["first"] == DataReference(path="/jobs/p.first/out", type=ValueType.URI_FOLDER)
    within = World(middle.pipeline)
    within.parent = middle
    within.go()
    assert [job.name for job in within.steps.values()] == ["p.middle.deep"]
    world.end("middle")
    assert world.states["last"] == "Queued"


@pytest.mark.parametrize("given", [LiteralValue(value=9), None])
def test_an_input_that_does_not_fit_fails_the_step_in_words(given: LiteralValue | None) -> None:
    number = InputDeclaration(type=ValueType.INTEGER, max=5)
    component = a_command(inputs={"count": number})
    world = begun(a_pipeline(a_step("only", component=component, inputs={} if given is None else {"count": given})))
    assert world.states == {"only": "Failed"}
    assert "jobs.only.inputs.count" in str(world.steps["only"].status_reason)
    assert world.parent.status is JobStatus.FAILED


def test_force_rerun_and_steps_that_are_not_deterministic_take_nothing_over() -> None:
    chance = a_step("chance", component=a_command(is_deterministic=False))
    assert [job.may_reuse for job in begun(a_pipeline(a_step("a"), chance)).steps.values()] == [True, False]
    forced = begun(a_pipeline(a_step("a"), force_rerun=True))
    assert [job.may_reuse for job in forced.steps.values()] == [False]


def test_steps_run_where_they_or_the_pipeline_say() -> None:
    world = begun(a_pipeline(a_step("a", compute="big"), a_step("b"), default_compute="small"))
    assert [job.deployment.compute for job in world.steps.values()] == ["big", "small"]
    assert begun(a_pipeline(a_step("a"))).steps["a"].deployment.compute == "local"


def test_outputs_without_a_place_go_to_the_default_datastore() -> None:
    command = begun(a_pipeline(a_step("a"), default_datastore="mine")).steps["a"].command
    assert command is not None
    assert command.outputs["out"].path == "azureml://datastores/mine/paths/azureml/${{name}}/${{output_name}}"
