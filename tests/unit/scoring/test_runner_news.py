"""What a compute tells of a job, as its user sees it: status, phase in words, and what it cost over all claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scoring.compute.inline import InlineCompute
from scoring.compute.news import ComputeNews
from scoring.errors import JobFailed, NoInstance
from scoring.job import Job, JobStatus, JobUsage
from scoring.minibatch import MiniBatch
from scoring.reopening import resumed
from tests.contract.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def rows(mini_batch: MiniBatch) -> list[str]:
    return ["row"] * len(mini_batch.items)


class Told(InlineCompute):
    """Tells news before it scores, looks at the job after each, then scores, or fails."""

    def __init__(self, look: Callable[[], Job], news: Sequence[ComputeNews], *, fails: bool = False) -> None:
        super().__init__(rows)
        self._look, self._news, self._fails = look, news, fails
        self.seen: list[tuple[str, str | None]] = []

    def run(self, *args: Any, on_news: Any, on_result: Any, **more: Any) -> None:
        for news in self._news:
            on_news(news)
            job = self._look()
            self.seen.append((job.status.value, job.status_reason))
        super().run(*args, on_news=lambda news: None, on_result=on_result, **more)
        if self._fails:
            raise JobFailed("the compute is gone")


def test_each_phase_is_seen_with_its_words(engine: Engine) -> None:
    engine.files(2)
    job = engine.invoke()
    compute = Told(
        lambda: engine.jobs.get(job.name),
        [
            ComputeNews(status=JobStatus.PROVISIONING, phase="waiting for an instance of cpu"),
            ComputeNews(phase="2 jobs are before it"),
            ComputeNews(status=JobStatus.STARTING, phase="starting workers on node0"),
            ComputeNews(status=JobStatus.RUNNING, phase="scoring"),
            ComputeNews(status=JobStatus.PROVISIONING, phase="node0 was taken away"),
        ],
    )
    ended = engine.runner(compute).run_one()
    assert compute.seen == [
        ("Provisioning", "waiting for an instance of cpu"),
        ("Provisioning", "2 jobs are before it"),
        ("Starting", "starting workers on node0"),
        ("Running", "scoring"),
        ("Running", "node0 was taken away"),  # a status never goes back
    ]
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED


def test_a_cancel_keeps_its_words(engine: Engine) -> None:
    engine.files(2)
    job = engine.invoke()

    def look() -> Job:
        stored = engine.jobs.get(job.name)
        if stored.status is JobStatus.PROVISIONING:
            stored = engine.jobs.save(stored.moved(JobStatus.CANCEL_REQUESTED, reason="canceled by its user"))
        return stored

    news = [
        ComputeNews(status=s, phase=s.value) for s in (JobStatus.PROVISIONING, JobStatus.STARTING, JobStatus.RUNNING)
    ]
    compute = Told(look, news)
    ended = engine.runner(compute).run_one()
    assert compute.seen[1:] == [("CancelRequested", "canceled by its user")] * 2
    assert ended is not None
    assert ended.status is JobStatus.CANCELED


def test_the_cost_adds_up_over_rounds_and_a_failure_keeps_what_was_scored(engine: Engine) -> None:
    engine.files(4)
    job = engine.invoke()
    first = JobUsage(worker_seconds=3, core_seconds=1.5, instances=2, processes=4)
    usage = [ComputeNews(usage=JobUsage(worker_seconds=1)), ComputeNews(usage=first)]
    failed = engine.runner(Told(lambda: job, usage, fails=True)).run_one()
    assert failed is not None
    assert (failed.status, failed.usage) == (JobStatus.FAILED, first)
    assert failed.progress.mini_batches_done == 2
    engine.jobs.reopen(job.name, resumed)
    # everything was scored: the next round costs nothing
    again = engine.runner(InlineCompute(rows)).run_one()
    assert again is not None
    assert (again.status, again.usage) == (JobStatus.COMPLETED, first)


def test_a_second_round_adds_its_cost(engine: Engine) -> None:
    engine.files(2)
    engine.invoke()
    usage = JobUsage(worker_seconds=3, instances=2, processes=4)
    job = engine.jobs.claim("before", timedelta(minutes=1))
    assert job is not None
    engine.jobs.save(replace(job, usage=usage))
    engine.jobs.release(lambda owner: True)
    more = JobUsage(worker_seconds=1, core_seconds=0.5, instances=1, processes=6)
    ended = engine.runner(Told(lambda: job, [ComputeNews(usage=more)])).run_one()
    assert ended is not None
    assert ended.usage == JobUsage(worker_seconds=4, core_seconds=0.5, instances=2, processes=6)


class Full(InlineCompute):
    """Scores the first mini-batch; then all its instances are somebody else's."""

    def __init__(self) -> None:
        super().__init__(rows)

    def run(self, job: Job, mini_batches: Sequence[MiniBatch], **more: Any) -> None:
        super().run(job, mini_batches[:1], **more)
        raise NoInstance("waits for an instance")


@pytest.mark.parametrize("is_canceled", [False, True])
def test_a_job_without_an_instance_is_left_in_the_queue_with_what_it_has(engine: Engine, is_canceled: bool) -> None:
    engine.files(4)
    engine.invoke()
    left = engine.runner(Full()).run_one()
    assert left is not None
    assert (left.status, left.status_reason) == (JobStatus.RUNNING, "waits for an instance")
    if is_canceled:
        engine.jobs.save(left.moved(JobStatus.CANCEL_REQUESTED))
    seen: list[int] = []

    def score(mini_batch: MiniBatch) -> list[str]:
        seen.append(mini_batch.index)
        return rows(mini_batch)

    ended = engine.runner(InlineCompute(score), owner="another").run_one()  # at once: no lease is waited for
    assert ended is not None
    assert ended.status is (JobStatus.CANCELED if is_canceled else JobStatus.COMPLETED), ended.status_reason
    assert seen == ([] if is_canceled else [1])
