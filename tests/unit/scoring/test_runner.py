"""The engine on stores in memory: every way a job can go, and what a crash or a rival leaves behind."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scoring.compute.inline import InlineCompute
from scoring.deployment import OutputAction
from scoring.errors import Conflict, InvalidInput, JobFailed, LeaseLost, TryAgain
from scoring.invoke import Invocation
from scoring.job import Job, JobInput, JobInputType, JobStatus
from scoring.minibatch import InputItem, MiniBatch
from scoring.runner import Patience
from tests.contract.engine import Engine
from tests.contract.memory import MemoryTable
from tests.waiting import until


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


class Scorer:
    """Returns the names of the files; remembers the mini-batches it was called with."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, mini_batch: MiniBatch) -> Any:
        self.calls.append(mini_batch.index)
        return [Path(item.uri).name for item in mini_batch.items]


def table_invocation(**fields: Any) -> Invocation:
    return Invocation(input=JobInput(type=JobInputType.TABLE, path="lake://windows", **fields))


def test_without_a_job_there_is_nothing_to_do(engine: Engine) -> None:
    assert engine.runner(InlineCompute(Scorer())).run_one() is None


def test_a_job_goes_its_way_to_the_end(engine: Engine) -> None:
    engine.files(5)
    engine.invoke()
    seen: list[tuple[str, str | None]] = []
    save = engine.jobs.save

    def spying(job: Job, **more: Any) -> Job:
        stored = save(job, **more)
        if not seen or seen[-1][0] != stored.status.value:
            seen.append((stored.status.value, stored.status_reason))
        return stored

    engine.jobs.save = spying  # type: ignore[method-assign]
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert seen == [
        ("Preparing", "listing the input"),
        ("Running", "scoring"),
        ("Finalizing", "writing the output"),
        ("Completed", "5 of 5 items succeeded in 3 mini-batches"),
    ]
    assert engine.sink.rows[ended.name] == [f"folder-{n:04d}.txt" for n in range(5)]
    assert ended.progress.mini_batches_done == 3
    assert ended.started_at is not None
    assert ended.ended_at is not None
    assert ended.lease_owner is None


def test_the_manifest_is_stored_before_anything_is_scored(engine: Engine) -> None:
    engine.files(4)
    job = engine.invoke()

    def score(mini_batch: MiniBatch) -> list[str]:
        manifest, _ = engine.jobs.manifest(job)
        assert manifest is not None
        assert len(manifest.mini_batches) == 2
        return ["row"] * 2

    ended = engine.runner(InlineCompute(score)).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED


def test_an_empty_folder_fails_the_job(engine: Engine) -> None:
    engine.reader.folders["folder"] = []
    engine.invoke()
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert (ended.status, ended.status_reason) == (JobStatus.FAILED, "the input folder has no files to score")


def test_an_incremental_table_without_news_completes_with_no_rows(engine: Engine) -> None:
    table = engine.reader.tables["lake://windows"] = MemoryTable()
    table.append(InputItem(uri="/part", size_bytes=1, rows=9))
    engine.invoke(invocation=table_invocation(incremental=True, from_version=0))
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED
    assert ended.progress.items == 0
    assert engine.sink.rows[ended.name] == []


def test_a_whole_table_without_rows_fails_the_job(engine: Engine) -> None:
    engine.reader.tables["lake://windows"] = MemoryTable()
    engine.reader.tables["lake://windows"].append()
    engine.invoke(invocation=table_invocation())
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status is JobStatus.FAILED


def test_planning_freezes_the_version_that_is_scored(engine: Engine) -> None:
    table = engine.reader.tables["lake://windows"] = MemoryTable()
    table.append(InputItem(uri="/old", size_bytes=1, rows=9))
    table.append(InputItem(uri="/new", size_bytes=1, rows=9))
    engine.invoke(invocation=table_invocation(incremental=True, from_version=0))
    scorer = Scorer()

    def score(mini_batch: MiniBatch) -> list[str]:
        table.append(InputItem(uri="/later", size_bytes=1, rows=9))
        return list(scorer(mini_batch))

    ended = engine.runner(InlineCompute(score)).run_one()
    assert ended is not None
    assert (ended.input.from_version, ended.input.to_version) == (0, 1)
    assert engine.sink.rows[ended.name] == ["new"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidInput("it is a socket", place="input.path"), "input.path: it is a socket"),
        (Conflict("the output exists"), "the output exists"),
        (RuntimeError("a bug"), "tidemill itself failed: RuntimeError: a bug"),
    ],
)
def test_what_cannot_be_prepared_fails_with_its_reason(engine: Engine, error: Exception, reason: str) -> None:
    engine.files(1)
    engine.invoke()

    def refuse(job: Job) -> None:
        raise error

    engine.sink.check = refuse  # type: ignore[method-assign]
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert (ended.status, ended.status_reason) == (JobStatus.FAILED, reason)


def test_the_output_is_checked_before_the_input_is_listed(engine: Engine) -> None:
    engine.sink.taken.add("predictions.csv")
    engine.invoke(path="absent")
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status_reason == "predictions.csv exists already"


def test_a_model_that_is_gone_fails_the_job(engine: Engine) -> None:
    engine.files(1)
    engine.invoke()
    engine.catalog.delete(engine.catalog.model("net", "1"))
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status is JobStatus.FAILED
    assert "net:1 does not exist" in str(ended.status_reason)


def test_the_scripts_first_traceback_becomes_the_jobs_error(engine: Engine) -> None:
    engine.files(2)
    engine.invoke()

    class Broken(InlineCompute):
        def run(self, *args: Any, **more: Any) -> None:
            raise JobFailed("no worker", user_traceback="Traceback: yours")

    ended = engine.runner(Broken(Scorer())).run_one()
    assert ended is not None
    assert (ended.status_reason, ended.error) == ("no worker", "Traceback: yours")


def test_summary_only_bears_that_nothing_succeeds(engine: Engine) -> None:
    engine.deploy(output_action=OutputAction.SUMMARY_ONLY)
    engine.files(2)
    engine.invoke()
    ended = engine.runner(InlineCompute(lambda m: [])).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED
    assert ended.progress.items_failed == 2


# --- cancel -----------------------------------------------------------------------------------------------------------


def cancel(engine: Engine, name: str) -> None:
    engine.jobs.save(engine.jobs.get(name).moved(JobStatus.CANCEL_REQUESTED))


def test_a_job_canceled_before_it_began_is_not_begun(engine: Engine) -> None:
    engine.files(2)
    cancel(engine, engine.invoke().name)
    scorer = Scorer()
    ended = engine.runner(InlineCompute(scorer)).run_one()
    assert ended is not None
    assert (ended.status, scorer.calls) == (JobStatus.CANCELED, [])


def test_a_job_canceled_while_it_runs_stops_and_writes_nothing(engine: Engine) -> None:
    engine.deploy(mini_batch_size=1)
    engine.files(600)
    job = engine.invoke()
    calls = []

    def score(mini_batch: MiniBatch) -> list[str]:
        calls.append(mini_batch.index)
        if len(calls) == 3:
            cancel(engine, job.name)
        return ["row"]

    ended = engine.runner(InlineCompute(score)).run_one()
    assert ended is not None
    assert (ended.status, ended.status_reason) == (JobStatus.CANCELED, "canceled by request")
    assert 3 <= len(calls) < 600
    assert engine.sink.rows == {}


def test_a_job_that_is_writing_its_output_is_not_canceled_any_more(engine: Engine) -> None:
    engine.files(2)
    job = engine.invoke()
    commit = engine.sink.commit

    def late(*args: Any) -> int:
        current = engine.jobs.get(job.name)
        assert not current.may_move(JobStatus.CANCEL_REQUESTED)
        engine.jobs.save(replace(current, status=JobStatus.CANCEL_REQUESTED))
        return commit(*args)

    engine.sink.commit = late  # type: ignore[method-assign]
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED


# --- crashes, rivals, stores that are away ---------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here: nothing catches it, nothing more is written."""


def crash(*_: Any, **__: Any) -> Any:
    raise Crash


def test_after_a_crash_only_what_has_not_ended_is_scored(engine: Engine) -> None:
    engine.files(10)
    job = engine.invoke()
    first = Scorer()

    def dies(mini_batch: MiniBatch) -> Any:
        if len(first.calls) == 3:
            time.sleep(0.25)  # results are written in groups: let the three be written
            raise Crash
        return first(mini_batch)

    def why_stop_slowly(mini_batch: MiniBatch) -> Any:
        time.sleep(0.08)
        return dies(mini_batch)

    with pytest.raises(Crash):
        engine.runner(InlineCompute(why_stop_slowly)).run_one()
    _, kept = engine.jobs.manifest(job)
    assert kept
    assert engine.runner(InlineCompute(Scorer()), owner="early").run_one() is None, "the lease still holds"
    engine.clock.advance(timedelta(minutes=1))
    second = Scorer()
    ended = engine.runner(InlineCompute(second), owner="second").run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED
    assert not {result.index for result in kept} & set(second.calls)
    assert engine.sink.rows[job.name] == [f"folder-{n:04d}.txt" for n in range(10)]


@pytest.mark.parametrize("where", ["check", "commit", "finish", "committed"])
def test_a_crash_anywhere_is_gone_on_from(engine: Engine, where: str) -> None:
    engine.files(4)
    job = engine.invoke()
    runner = engine.runner(InlineCompute(Scorer()))
    target = engine.finisher if where == "finish" else engine.sink
    method = "commit" if where == "committed" else where
    original = getattr(target, method)

    def dies(*args: Any) -> None:
        if where == "committed":
            original(*args)
        raise Crash

    setattr(target, method, dies)
    with pytest.raises(Crash):
        runner.run_one()
    setattr(target, method, original)
    engine.clock.advance(timedelta(minutes=1))
    ended = engine.runner(InlineCompute(Scorer()), owner="second").run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED
    assert engine.sink.rows[job.name] == [f"folder-{n:04d}.txt" for n in range(4)]


def test_a_job_that_kills_every_runner_is_given_up(engine: Engine) -> None:
    engine.files(2)
    engine.invoke()
    for _ in range(3):
        with pytest.raises(Crash):
            engine.runner(InlineCompute(crash), patience=Patience(max_claims=3)).run_one()
        engine.clock.advance(timedelta(minutes=1))
    ended = engine.runner(InlineCompute(Scorer()), patience=Patience(max_claims=3)).run_one()
    assert ended is not None
    assert ended.status_reason == "given up: 3 runners began this job and none ended it"


def test_a_runner_whose_job_was_taken_over_writes_nothing_more(engine: Engine) -> None:
    engine.files(4)
    job = engine.invoke()

    def taken_over(mini_batch: MiniBatch) -> list[str]:
        if mini_batch.index == 1:
            engine.clock.advance(timedelta(minutes=1))
            assert engine.jobs.claim("rival", timedelta(minutes=1)) is not None
        return ["row", "row"]

    with pytest.raises(LeaseLost, match="belongs to rival"):
        engine.runner(InlineCompute(taken_over)).run_one()
    stored = engine.jobs.get(job.name)
    assert (stored.lease_owner, stored.status) == ("rival", JobStatus.RUNNING)
    assert engine.sink.rows == {}


def test_the_lease_is_renewed_while_a_mini_batch_takes_long(engine: Engine) -> None:
    engine.files(1)
    engine.invoke()
    renewals = []
    save = engine.jobs.save

    def spying(job: Job, **more: Any) -> Job:
        renewals.append(threading.current_thread().name)
        return save(job, **more)

    engine.jobs.save = spying  # type: ignore[method-assign]

    def slow(mini_batch: MiniBatch) -> list[str]:
        # four thirds of the lease's length
        until("four renewals", lambda: sum(name.startswith("lease-") for name in renewals), lambda count: count >= 4)
        return ["row"]

    ended = engine.runner(InlineCompute(slow), patience=Patience(lease=timedelta(seconds=2))).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED


def test_a_lease_that_cannot_be_renewed_stops_the_runner(engine: Engine) -> None:
    engine.deploy(mini_batch_size=1)
    engine.files(100)
    engine.invoke()
    save = engine.jobs.save

    def away(job: Job, **more: Any) -> Job:
        if job.progress.items and more.get("manifest") is None:
            raise TryAgain("the database is away")
        return save(job, **more)

    engine.jobs.save = away  # type: ignore[method-assign]

    def slow(mini_batch: MiniBatch) -> list[str]:
        time.sleep(0.05)
        return ["row"]

    with pytest.raises((LeaseLost, TryAgain)):
        engine.runner(InlineCompute(slow), patience=Patience(lease=timedelta(seconds=0.5))).run_one()


def test_a_store_that_is_away_for_a_moment_is_waited_for(engine: Engine) -> None:
    engine.files(4)
    engine.invoke()
    failures = {"resolve": 2, "commit": 1, "record": 1}

    def flaky(target: object, method: str) -> None:
        original = getattr(target, method)

        def call(*args: Any, **more: Any) -> Any:
            if failures[method]:
                failures[method] -= 1
                raise TryAgain("away")
            return original(*args, **more)

        setattr(target, method, call)

    flaky(engine.reader, "resolve")
    flaky(engine.sink, "commit")
    flaky(engine.jobs, "record")
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED
    assert not any(failures.values())


def test_a_store_that_stays_away_leaves_the_job_to_a_later_claim(engine: Engine) -> None:
    engine.files(4)
    job = engine.invoke()
    resolve = engine.reader.resolve

    def away(job_input: JobInput) -> JobInput:
        raise TryAgain("the lake is away")

    engine.reader.resolve = away  # type: ignore[method-assign]
    with pytest.raises(TryAgain, match="the lake is away"):
        engine.runner(InlineCompute(Scorer()), patience=Patience(store_away=timedelta(seconds=0.3))).run_one()
    assert engine.jobs.get(job.name).status is JobStatus.PREPARING
    engine.reader.resolve = resolve  # type: ignore[method-assign]
    engine.clock.advance(timedelta(minutes=1))
    ended = engine.runner(InlineCompute(Scorer())).run_one()
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED


def test_a_process_that_ends_lets_go_of_its_job_at_once(engine: Engine) -> None:
    engine.files(10)
    job = engine.invoke()
    stop = threading.Event()

    def score(mini_batch: MiniBatch) -> list[str]:
        if mini_batch.index == 1:
            stop.set()
        return ["row", "row"]

    left = engine.runner(InlineCompute(score)).run_one(stop)
    assert left is not None
    assert left.status is JobStatus.RUNNING
    scorer = Scorer()
    ended = engine.runner(InlineCompute(scorer), owner="second").run_one()
    assert ended is not None
    assert (ended.name, ended.status) == (job.name, JobStatus.COMPLETED)
    assert scorer.calls == [2, 3, 4], "what was scored before is kept"


def test_serving_takes_one_job_after_the_other_and_ends_when_told_to(engine: Engine) -> None:
    engine.files(2)
    names = [engine.invoke().name for _ in range(3)]
    stop, wake = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=engine.runner(InlineCompute(Scorer())).serve, args=(stop,), kwargs={"wake": wake, "poll": 30.0}
    )
    thread.start()
    until("the three have ended", lambda: all(engine.jobs.get(name).status.is_terminal for name in names))
    names.append(engine.invoke().name)
    wake.set()
    until("the fourth has ended", lambda: engine.jobs.get(names[-1]).status.is_terminal, limit=20)  # sooner than a poll
    stop.set()
    wake.set()
    thread.join(90)
    assert not thread.is_alive()
    assert {engine.jobs.get(name).status for name in names} == {JobStatus.COMPLETED}
