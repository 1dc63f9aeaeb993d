"""Steps that take over what an earlier one wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scoring.components.binding import DataReference
from scoring.components.jobs import PipelineJob
from scoring.job import Job, JobStatus
from tests.contract.memory_pipelines import a_command, a_pipeline, a_step
from tests.contract.steps import Steps


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("hello")
    return Steps(tmp_path)


def line(
    steps: Steps, *, first: str = "cat ${{inputs.data}}/* > ${{outputs.out}}/o", **settings: object
) -> PipelineJob:
    data = DataReference(path=str(steps.folder / "in"))
    return a_pipeline(
        a_step("first", first, inputs={"data": data}),
        a_step("second", "wc -c < ${{inputs.first}}/o > ${{outputs.out}}/n", after=["first"]),
        default_compute="cluster",
        **settings,
    )


def ran(steps: Steps, name: str, pipeline: PipelineJob) -> dict[str, Job]:
    steps.pipeline(pipeline, name=name)
    assert steps.run(name).status is JobStatus.COMPLETED, steps.jobs.get(name)
    return {job.step or "": job for job in steps.pipelines.children(name)}


def test_the_same_steps_on_the_same_inputs_are_not_run_again(steps: Steps) -> None:
    before = ran(steps, "p1", line(steps))
    after = ran(steps, "p2", line(steps))
    assert [job.reused_from for job in after.values()] == ["p1.first", "p1.second"]
    assert {name: job.outputs for name, job in after.items()} == {name: job.outputs for name, job in before.items()}
    assert steps.jobs.get("p2").status_reason == "all 2 steps completed, 2 of them taken over from earlier jobs"
    assert [job.usage.worker_seconds for job in after.values()] == [0, 0]
    # and what was taken over is not named as what ran: the one that ran is
    again = ran(steps, "p3", line(steps))
    assert [job.reused_from for job in again.values()] == ["p1.first", "p1.second"]


def test_another_input_makes_what_needs_it_run_again(steps: Steps) -> None:
    ran(steps, "p1", line(steps))
    (steps.folder / "in" / "b.txt").write_text("more")
    after = ran(steps, "p2", line(steps))
    assert [job.reused_from for job in after.values()] == [None, None]
    assert (Path(after["second"].outputs["out"].path) / "n").read_text().strip() == "9"


def test_another_command_runs_and_who_reads_it_too(steps: Steps) -> None:
    ran(steps, "p1", line(steps))
    after = ran(steps, "p2", line(steps, first="echo 12 > ${{outputs.out}}/o"))
    assert [job.reused_from for job in after.values()] == [None, None]


def test_force_rerun_takes_nothing_over_and_can_be_taken_over(steps: Steps) -> None:
    ran(steps, "p1", line(steps))
    assert [job.reused_from for job in ran(steps, "p2", line(steps, force_rerun=True)).values()] == [None, None]
    # the second of p3 reads what the newest first wrote
    assert [job.reused_from for job in ran(steps, "p3", line(steps)).values()] == ["p2.first", "p2.second"]


def test_outputs_that_were_removed_are_made_again(steps: Steps) -> None:
    before = ran(steps, "p1", line(steps))
    shutil.rmtree(before["second"].outputs["out"].path)
    assert [job.reused_from for job in ran(steps, "p2", line(steps)).values()] == ["p1.first", None]


def test_a_step_that_is_not_deterministic_runs_each_time(steps: Steps) -> None:
    chance = a_step("chance", component=a_command("date +%N > ${{outputs.out}}/t", is_deterministic=False))
    for name in ("p1", "p2"):
        children = ran(steps, name, a_pipeline(chance, default_compute="cluster"))
        assert children["chance"].reused_from is None


def test_a_failed_step_is_never_taken_over(steps: Steps) -> None:
    flag = steps.folder / "flag"
    pipeline = a_pipeline(a_step("only", f"test -e {flag}"), default_compute="cluster")
    steps.pipeline(pipeline, name="p1")
    assert steps.run("p1").status is JobStatus.FAILED
    flag.touch()
    assert ran(steps, "p2", pipeline)["only"].reused_from is None


def test_commands_that_are_no_steps_always_run(steps: Steps) -> None:
    for name in ("one", "two"):
        steps.command("true", name=name)
        assert steps.run(name).reused_from is None
