"""Any sequence of jobs, crashes, lost answers, stores that are away, rivals and cancels: each row comes out once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from scoring.compute.inline import InlineCompute
from scoring.errors import LeaseLost, TryAgain
from scoring.invoke import Invocation
from scoring.job import Job, JobInput, JobInputType, JobStatus
from scoring.minibatch import MiniBatch
from scoring.reopening import resumed
from scoring.runner import Patience
from tests.contract.engine import Engine
from tests.effort import examples


class Crash(BaseException):
    """The process ends here."""


class Faults:
    """Makes the n-th call of any port fail: before it did anything, or after, when only its answer is lost."""

    def __init__(self) -> None:
        self.countdown = -1
        self.error: Callable[[], BaseException] = Crash
        self.after = False

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*args: Any, **more: Any) -> Any:
            self.countdown -= 1
            due = self.countdown == 0
            if due and not self.after:
                raise self.error()
            answer = call(*args, **more)
            if due and self.after:
                raise self.error()
            return answer

        return faulty


class RunnerMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tidemill-runner-"))
        self.engine = Engine(self.folder)
        self.faults = Faults()
        self.files: dict[str, int] = {}
        self.ended: dict[str, Job] = {}
        self.interfere: Callable[[], None] | None = None
        for target, methods in (
            (self.engine.jobs, ("save", "record", "manifest")),
            (self.engine.reader, ("resolve", "items")),
            (self.engine.sink, ("check", "commit")),
            (self.engine.finisher, ("finish",)),
        ):
            for method in methods:
                setattr(target, method, self.faults.around(getattr(target, method)))
        self.stored = type(self.engine.jobs).manifest  # unharmed, for looking

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(target=jobs, files=st.integers(1, 9), size=st.integers(1, 4))
    def invoke(self, files: int, size: int) -> str:
        path = f"folder-{len(self.files)}"
        self.engine.files(files, path=path)
        self.engine.deploy(mini_batch_size=size)
        invocation = Invocation(input=JobInput(type=JobInputType.URI_FOLDER, path=path))
        name = self.engine.invoke(invocation=invocation).name
        self.files[name] = files
        return name

    @rule(name=jobs)
    def cancel(self, name: str) -> None:
        self._cancel(name)

    @rule(name=jobs)
    def resume(self, name: str) -> None:
        if self.engine.jobs.get(name).status is JobStatus.CANCELED:
            assert self.engine.jobs.reopen(name, resumed).status is JobStatus.QUEUED
            del self.ended[name]

    @rule(countdown=st.integers(1, 25), after=st.booleans(), crash=st.booleans())
    def run_with_a_fault(self, countdown: int, after: bool, crash: bool) -> None:
        self.faults.countdown, self.faults.after = countdown, after
        self.faults.error = Crash if crash else lambda: TryAgain("away")
        self._run()
        self.faults.countdown = -1

    @rule(name=jobs, at=st.integers(0, 4))
    def run_while_it_is_canceled(self, name: str, at: int) -> None:
        self._run_with(at, lambda: self._cancel(name))

    @rule(at=st.integers(0, 4))
    def run_while_a_rival_takes_over(self, at: int) -> None:
        def rival() -> None:
            self.engine.clock.advance(timedelta(minutes=1))
            self.engine.jobs.claim("rival", timedelta(seconds=30))

        self._run_with(at, rival)

    @rule()
    def run(self) -> None:
        self._run()

    @rule()
    def all_end(self) -> None:
        for _ in range(len(self.files) + 1):
            self._run()
        for name in self.files:
            assert self.engine.jobs.get(name).status.is_terminal, self.engine.jobs.get(name)

    @invariant()
    def what_ended_stays_as_it_ended(self) -> None:
        for name in self.files:
            job = self.engine.jobs.get(name)
            if job.status.is_terminal:
                assert self.ended.setdefault(name, job) == job

    @invariant()
    def a_completed_job_has_each_row_once_and_in_order(self) -> None:
        for name, files in self.files.items():
            job = self.engine.jobs.get(name)
            if job.status is JobStatus.COMPLETED:
                path = job.input.path
                assert self.engine.sink.rows[name] == [f"{path}-{n:04d}.txt" for n in range(files)]
            assert job.status is not JobStatus.FAILED, job.status_reason

    @invariant()
    def a_canceled_job_has_no_rows(self) -> None:
        for name in self.files:
            job = self.engine.jobs.get(name)
            if job.status is JobStatus.CANCELED:
                assert job.status_reason == "canceled by request"
                assert name not in self.engine.sink.rows

    def _run_with(self, at: int, deed: Callable[[], None]) -> None:
        calls = 0

        def interfere() -> None:
            nonlocal calls
            if calls == at:
                deed()
            calls += 1

        self.interfere = interfere
        self._run()
        self.interfere = None

    def _run(self) -> None:
        self.engine.clock.advance(timedelta(minutes=1))  # whoever died before has lost its lease
        current: list[Job] = []
        claim = self.engine.jobs.claim

        def score(mini_batch: MiniBatch) -> list[str]:
            if self.interfere is not None:
                self.interfere()
            _, results = self.stored(self.engine.jobs, current[0])
            assert mini_batch.index not in {r.index for r in results}, "what has ended is never scored again"
            return [Path(item.uri).name for item in mini_batch.items]

        def seen(owner: str, lease: timedelta, **avoid: Collection[str]) -> Job | None:
            job = claim(owner, lease, **avoid)
            if job is not None and owner != "rival":
                current.append(job)
            return job

        self.engine.jobs.claim = seen  # type: ignore[method-assign]
        try:
            self.engine.runner(InlineCompute(score), patience=Patience(store_away=timedelta(seconds=1))).run_one()
        except (Crash, LeaseLost, TryAgain):
            pass
        finally:
            self.engine.jobs.claim = claim  # type: ignore[method-assign]

    def _cancel(self, name: str) -> None:
        countdown, self.faults.countdown = self.faults.countdown, -1
        job = self.engine.jobs.get(name)
        if job.may_move(JobStatus.CANCEL_REQUESTED):
            self.engine.jobs.save(job.moved(JobStatus.CANCEL_REQUESTED))
        self.faults.countdown = countdown


RunnerMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=15, deadline=None)
TestRunnerMachine = RunnerMachine.TestCase
