"""The runner and the environment of a job: made before anything is scored, told, and given up with the job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scoring.compute.inline import InlineCompute
from scoring.errors import JobFailed
from scoring.job import Job, JobStatus
from scoring.minibatch import MiniBatch
from tests.contract.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = Engine(tmp_path)
    engine.files(3)
    return engine


Prepare = Callable[[Job, Path, Callable[[str], None], Callable[[], None]], Sequence[str]]


def ended(engine: Engine, prepare: Prepare, calls: list[str] | None = None, stop: threading.Event | None = None) -> Job:
    def score(mini_batch: MiniBatch) -> Any:
        if calls is not None:
            calls.append("score")
        return [item.uri for item in mini_batch.items]

    engine.invoke()
    job = engine.runner(InlineCompute(score), prepare=prepare).run_one(stop)
    assert job is not None
    return engine.jobs.get(job.name)


def test_it_is_made_first_and_its_notes_stay_with_the_job(engine: Engine) -> None:
    calls: list[str] = []
    said: list[tuple[JobStatus, str | None]] = []

    def prepare(job: Job, folder: Path, tell: Callable[[str], None], check: Callable[[], None]) -> Sequence[str]:
        assert folder == engine.folder / "jobs" / job.name
        calls.append("prepare")
        tell("installing 2 packages")
        check()
        stored = engine.jobs.get(job.name)
        said.append((stored.status, stored.status_reason))
        return ("alpha==1: 2 is used",)

    job = ended(engine, prepare, calls)
    assert job.status is JobStatus.COMPLETED
    assert job.notes == ("alpha==1: 2 is used",)
    assert calls == ["prepare", "score", "score"]
    assert said == [(JobStatus.PREPARING, "preparing the environment: installing 2 packages")]
    log = (engine.folder / "jobs" / job.name / "logs" / "azureml" / "executionlogs.txt").read_text()
    assert "preparing the environment: ready; alpha==1: 2 is used" in log


def test_what_cannot_be_made_fails_the_job(engine: Engine) -> None:
    def prepare(*_: object) -> Sequence[str]:
        raise JobFailed("the environment could not be made: no such thing; check its name")

    calls: list[str] = []
    job = ended(engine, prepare, calls)
    assert (job.status, calls) == (JobStatus.FAILED, [])
    assert job.status_reason == "the environment could not be made: no such thing; check its name"


def test_a_cancel_ends_the_making(engine: Engine) -> None:
    def prepare(job: Job, folder: Path, tell: Callable[[str], None], check: Callable[[], None]) -> Sequence[str]:
        check()
        engine.jobs.save(engine.jobs.get(job.name).moved(JobStatus.CANCEL_REQUESTED))
        tell("installing")
        check()
        raise AssertionError("check must raise")

    job = ended(engine, prepare)
    assert (job.status, job.status_reason) == (JobStatus.CANCELED, "canceled by request")


def test_a_service_that_stops_lets_the_job_go(engine: Engine) -> None:
    stop = threading.Event()

    def prepare(job: Job, folder: Path, tell: Callable[[str], None], check: Callable[[], None]) -> Sequence[str]:
        stop.set()
        check()
        raise AssertionError("check must raise")

    assert not ended(engine, prepare, stop=stop).status.is_terminal
    again = engine.runner(InlineCompute(lambda mini_batch: [item.uri for item in mini_batch.items])).run_one()
    assert again is not None
    assert again.status is JobStatus.COMPLETED


def test_an_mlflow_model_without_a_script_is_given_no_other_files(engine: Engine) -> None:
    engine.deploy(code_configuration=None)
    calls: list[str] = []
    job = ended(engine, lambda *_: (), calls)
    assert (job.status, calls) == (JobStatus.FAILED, [])
    assert job.status_reason is not None
    assert "File type '.txt' is not supported" in job.status_reason
