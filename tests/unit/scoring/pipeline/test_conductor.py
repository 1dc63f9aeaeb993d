"""The loop over pipelines: what it tells, and that one bad pipeline holds up no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scoring.errors import TryAgain
from scoring.job import JobStatus
from scoring.pipeline.conductor import Conductor
from tests.contract.memory_pipelines import a_pipeline, a_step
from tests.contract.steps import Steps


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


def two(steps: Steps, name: str) -> None:
    steps.pipeline(a_pipeline(a_step("a"), a_step("b", after=["a"]), default_compute="cluster"), name=name)


def test_changes_of_steps_are_in_the_pipelines_log_once(steps: Steps) -> None:
    two(steps, "p")
    assert steps.run("p").status is JobStatus.COMPLETED
    steps.conductor.look()
    log = (steps.folder / "jobs" / "p" / "logs" / "azureml" / "executionlogs.txt").read_text()
    for line in ("step a: Queued", "step a: Completed", "step b: NotStarted", "step b: Completed", "Completed: all 2"):
        assert log.count(line) == 1, log
    assert (steps.folder / "jobs" / "p" / "logs" / "job_result.txt").read_text().startswith("p: Completed")


def test_runners_are_told_when_there_is_something_to_claim(steps: Steps) -> None:
    told: list[int] = []
    two(steps, "p")
    jobs = steps.folder / "jobs"
    Conductor(steps.pipelines, now=steps.clock.now, jobs_folder=jobs, on_released=lambda: told.append(1)).look()
    assert told


def test_a_pipeline_whose_steps_name_is_taken_fails_and_the_next_goes_on(steps: Steps) -> None:
    steps.command("true", name="first.b")
    two(steps, "first")
    two(steps, "second")
    steps.conductor.look()
    first = steps.jobs.get("first")
    assert first.status is JobStatus.FAILED
    assert "first.b exists already" in str(first.status_reason)
    assert steps.jobs.get("second").status is JobStatus.RUNNING


def test_a_pipeline_that_nobody_can_move_is_given_up_with_its_steps(steps: Steps) -> None:
    two(steps, "broken")
    two(steps, "whole")
    steps.conductor.look()
    a = steps.jobs.get("broken.a")
    steps.jobs._jobs["broken.a"] = replace(a, step="unknown")
    steps.conductor.look()
    broken = steps.jobs.get("broken")
    assert broken.status is JobStatus.FAILED
    assert "tidemill itself failed: KeyError" in str(broken.status_reason)
    assert {child.status for child in steps.pipelines.children("broken")} == {JobStatus.CANCELED}
    assert steps.run("whole").status is JobStatus.COMPLETED


def test_a_store_that_is_away_is_waited_for(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    two(steps, "p")

    def away(name: str, decide: object) -> None:
        raise TryAgain("the database is away")

    monkeypatch.setattr(steps.pipelines, "advance", away)
    with pytest.raises(TryAgain):
        steps.conductor.look()
    monkeypatch.undo()
    assert steps.run("p").status is JobStatus.COMPLETED
