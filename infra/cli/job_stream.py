"""What `job stream` prints: the log of a job's states, or what a command prints, on stdout; progress on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from infra.cli.command import note
from scoring.errors import NotFound, TryAgain

if TYPE_CHECKING:
    from infra.client.jobs import JobsClient

_STATES = "logs/azureml/executionlogs.txt"
_PRINTED = "user_logs/std_log_0.txt"
_LINE_SECONDS = 5.0


class JobStream:
    """Follows one job."""

    def __init__(self, jobs: JobsClient, name: str) -> None:
        self._jobs = jobs
        self._name = name
        self._path = _STATES
        self._read = 0
        self._rest = b""
        self._said: tuple[str, int] | None = None
        self._said_at = 0.0
        self._every = 0.5 if sys.stderr.isatty() else _LINE_SECONDS

    def to_the_end(self) -> dict[str, Any]:
        """The ended job. Raises NotFound, and TryAgain when the service stays away for a minute."""
        shown: dict[str, Any] | None = None
        for state in self._jobs.stream(self._name):
            if shown is None:
                self._head(state)
            shown = state
            self._log()
            self._progress(state)
        assert shown is not None
        self._log()
        if self._rest:
            click.echo(self._rest.decode("utf-8", "backslashreplace"))
        self._summary(shown)
        return shown

    def _head(self, job: dict[str, Any]) -> None:
        click.echo(f"RunId: {job['name']}")
        click.echo(f"Web View: {job['services']['Studio']['endpoint']}\n")
        self._path = _PRINTED if job["type"] == "command" else _STATES
        title = f"Streaming {self._path}"
        click.echo(f"{title}\n{'=' * len(title)}\n")

    def _log(self) -> None:
        """Whole lines that came since; what cannot be read now is read the next time."""
        while True:
            try:
                piece = self._jobs.log_bytes(self._name, self._path, offset=self._read)
            except (NotFound, TryAgain):
                return
            if not piece:
                return
            self._read += len(piece)
            whole, newline, self._rest = (self._rest + piece).rpartition(b"\n")
            if newline:
                click.echo(whole.decode("utf-8", "backslashreplace"))

    def _progress(self, job: dict[str, Any]) -> None:
        progress = job["progress"]
        said = (job["status"], progress["items_done"])
        if not progress["items"] or said == self._said or time.monotonic() - self._said_at < self._every:
            return
        self._said, self._said_at = said, time.monotonic()
        note(f"{job['status']}: {progress_words(progress, _unit(job))}")

    def _summary(self, job: dict[str, Any]) -> None:
        click.echo("\nExecution Summary\n=================")
        click.echo(f"RunId: {job['name']}")
        click.echo(f"Web View: {job['services']['Studio']['endpoint']}")
        click.echo(f"Status: {job['status']}: {job['status_reason']}")
        if job["progress"]["items"]:
            click.echo(f"Progress: {progress_words(job['progress'], _unit(job))}")
        usage = job["usage"]
        if usage["worker_seconds"]:
            cores = "" if usage["core_seconds"] is None else f", {usage['core_seconds']:.1f} core-seconds"
            click.echo(f"Cost: {usage['worker_seconds']:.1f} worker-seconds{cores}")
        if job["status"] == "Completed":
            for name, output in job["outputs"].items():
                click.echo(f"Output{'' if name == 'score' else f' {name}'}: {output['path']}")


def _unit(job: dict[str, Any]) -> str:
    return "steps" if "jobs" in job else "items"


def progress_words(progress: dict[str, Any], unit: str = "items") -> str:
    """`120 of 1000 items done, 3 failed, 880 left, 12.5 a second, 70 s to go`"""
    text = f"{progress['items_done']} of {progress['items']} {unit} done, {progress['items_failed']} failed, "
    text += f"{progress['items_left']} left"
    if progress["items_per_second"]:
        text += f", {progress['items_per_second']:.3g} a second"
    if progress["seconds_left"]:
        text += f", {progress['seconds_left']:.0f} s to go"
    return text
