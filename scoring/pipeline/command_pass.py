"""One claim's way with a command: its inputs, its environment, an instance, the process, and what its end means.

A claim after a crash runs the command again from its beginning, with its own outputs emptied; the process of before has
ended by then (see `keeper`).
"""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

from scoring.components.templates import rendered
from scoring.compute.news import ComputeNews
from scoring.compute.workplace import copied_code
from scoring.errors import JobFailed
from scoring.job import Job, JobStatus
from scoring.job_pass import Stopped
from scoring.pipeline.command_environment import command_environment
from scoring.pipeline.command_process import Command, CommandEnd
from scoring.pipeline.step_pass import StepPass
from scoring.pipeline.step_start import StepStart

LOG = Path("user_logs/std_log_0.txt")
"""In a job's folder: what the command printed."""

_LOCK = "command.lock"
_LOOK_SECONDS = 1.0
_REASON_LENGTH = 300


class CommandPass(StepPass):
    """A command, from its claim to its end."""

    def work(self) -> Job:
        if self._held.job.status is not JobStatus.FINALIZING:
            start = self.begin()
            if start is not None:
                self._make_environment()
                self._judge(self._run(self._command(start), start))
        taken = self._held.job.reused_from
        return self.complete("the command ended with exit code 0" if taken is None else f"taken over from job {taken}")

    def _command(self, start: StepStart) -> Command:
        job = self._held.job
        assert job.command is not None
        component = job.command.component
        line = rendered(component.command, start.texts, start.output_texts)
        cwd = self._folder / "code"
        copied_code(None if component.code is None else Path(component.code), cwd)
        python = self._held.patiently(lambda: self._ports.steps.interpreter(job.deployment))
        return Command(
            argv=("bash", "-c", line),
            cwd=cwd,
            environment=command_environment(job, start, python=python, folder=self._folder),
            log=self._folder / LOG,
            lock=self._folder / _LOCK,
            timeout=job.command.timeout,
        )

    def _run(self, command: Command, start: StepStart) -> CommandEnd:
        before, looked_at = self._held.job.usage, time.monotonic()
        cluster = self._held.patiently(lambda: self._ports.catalog.compute(self._held.job.deployment.compute))

        def why_stop() -> str | None:
            nonlocal looked_at
            self._held.check()
            if time.monotonic() - looked_at > _LOOK_SECONDS:
                looked_at = time.monotonic()
                self._held.save(self._held.job)  # a cancel is seen by writing
            if self._held.job.status is JobStatus.CANCEL_REQUESTED:
                return "a cancel was asked for"
            return "this process is to end" if self._stop.is_set() else None

        end = self._ports.steps.commands.run(
            command,
            job=self._held.job.name,
            cluster=cluster,
            should_stop=why_stop,
            on_news=self._heard,
            before_start=start.make_places,
        )
        self._held.save(replace(self._held.job, usage=before.plus(end.usage)))
        return end

    def _heard(self, news: ComputeNews) -> None:
        job = self._held.job
        if news.status is not None and job.may_move(news.status):
            self._log.state(self._held.save(job.moved(news.status, reason=news.phase)))
        elif news.phase not in {None, job.status_reason} and job.status is not JobStatus.CANCEL_REQUESTED:
            self._log.state(self._held.save(replace(job, status_reason=news.phase)))

    def _judge(self, end: CommandEnd) -> None:
        """Raises what its end means, where that is not good."""
        self._stop_if_canceled()
        if end.stopped is not None:
            if self._stop.is_set():
                raise Stopped
            raise JobFailed(f"the command was ended: {end.stopped}", user_traceback=end.words.strip() or None)
        if end.code != 0:
            raise JobFailed(how_it_ended(end), user_traceback=end.words.strip() or None)


def how_it_ended(end: CommandEnd) -> str:
    """In words, with the last line that it said on stderr."""
    lines = [line.strip() for line in end.words.splitlines() if line.strip()]
    said = f": {lines[-1][:_REASON_LENGTH]}" if lines else f"; {LOG} has what it printed"
    code = 0 if end.code is None else end.code
    if code >= 0:
        return f"the command ended with exit code {code}{said}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"the command was killed by signal {-code}, {name}{hint}{said}"
