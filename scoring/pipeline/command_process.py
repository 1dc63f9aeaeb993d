"""A command on an instance of a compute cluster: waits for the instance, runs the command there, tells how it ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scoring.compute.cluster import Compute
from scoring.compute.fleet import Fleet, Instance, waits_for
from scoring.compute.news import ComputeNews
from scoring.compute.process import StartedProcess, WorkerGone, WorkerProcess, worker_environment
from scoring.compute.readiness import is_readable
from scoring.errors import JobFailed
from scoring.job import JobStatus, JobUsage

KEEPER_FILE = Path(__file__).with_name("keeper.py")
LOG_LIMIT = 64 * 1024 * 1024
"""Bytes that are kept of the beginning of what a command prints."""

_TICK = 0.1
_ASK_SECONDS = 0.2
_GRACE_SECONDS = 2.0
_END_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is run: `log` takes all that is printed, `lock` keeps a second run of the same job away.

    timeout  seconds from the command's start; None is unlimited
    """

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    log: Path
    lock: Path
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True)
class CommandEnd:
    """`code` is the exit code, negative for a signal; `words` the last that it said on stderr.

    stopped  why it was ended early; None where it ended by itself
    usage    what it cost
    strays   processes that it had left behind, and that were ended with it
    """

    code: int | None = None
    words: str = ""
    stopped: str | None = None
    usage: JobUsage = field(default_factory=JobUsage)
    strays: int = 0


class CommandProcess:
    """Runs commands on instances of `fleet`, one an instance. Safe for many threads."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def run(
        self,
        command: Command,
        *,
        job: str,
        cluster: Compute,
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None],
        before_start: Callable[[], None] = lambda: None,
    ) -> CommandEnd:
        """The end of it. An instance that is taken away meanwhile costs the run: it begins anew on another one.

        before_start  makes the places that it writes to as they were before the first run

        Raises JobFailed where no process can be started.
        """
        usage = JobUsage()
        while True:
            instance = self._instance(job, cluster, should_stop, on_news)
            if instance is None:
                return CommandEnd(stopped=should_stop(), usage=usage)
            try:
                before_start()
                on_news(ComputeNews(status=JobStatus.RUNNING, phase=f"runs on {instance.name}"))
                end = _Run(command, instance, cluster).to_its_end(should_stop)
            finally:
                self._fleet.release(instance)
            usage = usage.plus(end.usage)
            if end.stopped != _TAKEN_AWAY:
                return replace(end, usage=usage)
            on_news(ComputeNews(phase=f"instance {instance.name} was taken away; begins again on another"))

    def _instance(
        self,
        job: str,
        cluster: Compute,
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None],
    ) -> Instance | None:
        if cluster.max_instances < 1:
            raise JobFailed(f"compute {cluster.name} has max_instances {cluster.max_instances}: it can run nothing")
        while should_stop() is None:
            found = self._fleet.acquire(cluster, job, 1)
            if found:
                return found[0]
            on_news(ComputeNews(status=JobStatus.PROVISIONING, phase=waits_for(cluster.name)))
            time.sleep(_ASK_SECONDS)
        return None


_TAKEN_AWAY = "the instance was taken away"


class _Run:
    """One start of the command."""

    def __init__(self, command: Command, instance: Instance, cluster: Compute) -> None:
        self._command = command
        self._instance = instance
        self._memory = None if cluster.worker_memory_mb is None else cluster.worker_memory_mb << 20
        self._pid: int | None = None

    def to_its_end(self, should_stop: Callable[[], str | None]) -> CommandEnd:
        began = time.monotonic()
        keeper = self._started()
        stopped: str | None = None
        give_up = float("inf")
        try:
            while True:
                ended = self._heard(keeper, stops=stopped is not None)
                if ended is not None:
                    return self._end(ended, stopped, time.monotonic() - began)
                if stopped is None:
                    stopped = self._why_stop(began, should_stop)
                    if stopped is not None:
                        keeper.send({"op": "end", "grace": _GRACE_SECONDS})
                        give_up = time.monotonic() + _END_SECONDS
                else:
                    should_stop()  # the caller keeps its lease in there
                if time.monotonic() > give_up:
                    raise WorkerGone(f"the command did not end within {_END_SECONDS:.0f} s")
        except WorkerGone as gone:
            if stopped is None:
                raise JobFailed(f"the process that keeps the command ended: {gone}") from None
            return self._end({}, stopped, time.monotonic() - began)
        finally:
            self._instance.pids = ()
            keeper.kill()
            self._kill()

    def _why_stop(self, began: float, should_stop: Callable[[], str | None]) -> str | None:
        why = should_stop()
        if why is not None:
            return why
        if self._instance.is_leaving:
            return _TAKEN_AWAY
        timeout = self._command.timeout
        if timeout is not None and time.monotonic() - began > timeout:
            return f"it took longer than {timeout} s (limits.timeout)"
        return None

    def _started(self) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        self._command.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            process = StartedProcess(
                [sys.executable, "-I", "-S", str(KEEPER_FILE), str(theirs.fileno())],
                environment=worker_environment(os.environ),
                output=self._command.log,
                passed=theirs,
            )
        except OSError as error:
            ours.close()
            raise JobFailed(f"no process could be started for the command: {error}") from None
        finally:
            theirs.close()
        keeper = WorkerProcess(process, ours)
        order = {
            "op": "run",
            "argv": list(self._command.argv),
            "cwd": str(self._command.cwd),
            "environment": dict(self._command.environment),
            "log": str(self._command.log),
            "lock": str(self._command.lock),
            "log_limit": LOG_LIMIT,
            "memory_limit": self._memory,
        }
        try:
            keeper.send(order)
        except WorkerGone as gone:
            keeper.kill()
            raise JobFailed(f"no process could be started for the command: {gone}") from None
        return keeper

    def _heard(self, keeper: WorkerProcess, *, stops: bool) -> dict[str, Any] | None:
        """The keeper's last message, where it has come within a tick; `stops` where it was told to end the command."""
        is_readable(keeper, _TICK)
        for message in keeper.messages():
            if message["op"] == "started":
                self._pid = int(message["pid"])
                self._instance.pids = (keeper.pid, self._pid)
            elif message["op"] == "refused" and not stops:
                raise JobFailed(str(message["error"]))
            else:
                self._pid = None  # the keeper left nothing of it
                return message
        return None

    def _kill(self) -> None:
        """The command of a keeper that died before it."""
        if self._pid is not None:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def _end(self, message: Mapping[str, Any], stopped: str | None, seconds: float) -> CommandEnd:
        cores = message.get("core_seconds")
        self._instance.worker_seconds += seconds
        self._instance.core_seconds += cores or 0.0
        return CommandEnd(
            code=message.get("code"),
            words=str(message.get("words", "")),
            stopped=stopped,
            strays=int(message.get("strays", 0)),
            usage=JobUsage(
                worker_seconds=round(seconds, 3),
                core_seconds=None if cores is None else round(float(cores), 3),
                instances=1,
                processes=1,
            ),
        )
