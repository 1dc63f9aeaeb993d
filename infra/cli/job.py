"""`tidemill job`: what became of an invocation."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from infra.cli.command import Noun, connected, name_option, note
from infra.cli.failures import JobEnded
from scoring.errors import Conflict, NotFound

_LINE_SECONDS = 5.0


@click.group(cls=Noun)
def job() -> None:
    """Jobs: look at them, follow them, cancel them."""


@job.command()
@name_option
@click.option("-e", "--web", is_flag=True, hidden=True)
def show(name: str, web: bool) -> Any:
    """Show a job. Example: tidemill job show -n JOB --query status -o tsv"""
    with connected() as client:
        return client.jobs.show(name)


@job.command("list")
@click.option("-r", "--max-results", type=int, default=50, show_default=True, help="Most jobs shown.")
@click.option("--all-results", is_flag=True, help="As many as there are.")
@click.option("--status", help="Only jobs in this state, e.g. Failed.")
@click.option("--schedule-name", help="Only jobs of this schedule.")
def list_(max_results: int, all_results: bool, status: str | None, schedule_name: str | None) -> Any:
    """List jobs, newest first. Example: tidemill job list --status Failed -o table"""
    with connected() as client:
        return client.jobs.list(
            status=status, schedule_name=schedule_name, max_results=10_000 if all_results else max_results
        )


@job.command()
@name_option
def cancel(name: str) -> Any:
    """Ask for a job's end. Example: tidemill job cancel -n JOB"""
    with connected() as client:
        return client.jobs.cancel(name)


@job.command()
@name_option
def stream(name: str) -> None:
    """Follow a job to its end. Ends with 7 when it Failed, 8 when it was Canceled; Ctrl-C leaves it running.

    Example: tidemill job stream -n JOB
    """
    teller = _Teller()
    ended: dict[str, Any] | None = None
    try:
        with connected() as client:
            for state in client.jobs.stream(name):
                ended = state
                teller.tell(state)
    except KeyboardInterrupt:
        note(f"\ndetached; job {name} goes on (`tidemill job cancel -n {name}` ends it)")
        raise
    assert ended is not None
    if ended["status"] != "Completed":
        if ended["error"]:
            note(ended["error"].rstrip())
        raise JobEnded(name, ended["status"], ended["status_reason"])
    note(f"output: {ended['outputs']['score']['path']}")


@job.command()
@name_option
@click.option(
    "-p",
    "--download-path",
    type=click.Path(path_type=Path),
    default=Path("."),
    show_default=True,
    help="Folder to copy into.",
)
@click.option("--output-name", default="score", show_default=True, help="Which output.")
@click.option("--all", "all_", is_flag=True, hidden=True)
def download(name: str, download_path: Path, output_name: str, all_: bool) -> None:
    """Copy a finished job's predictions. Example: tidemill job download -n JOB --output-name score -p ./out"""
    with connected() as client:
        found = client.jobs.show(name)
    if found["status"] not in {"Completed", "Failed", "Canceled"}:
        raise Conflict(f"job {name} is {found['status']}; its output can be downloaded when it has ended")
    output = found["outputs"].get(output_name)
    if output is None:
        note(f"job {name} has no output named {output_name}; it has {', '.join(found['outputs'])}")
        return
    source = Path(output["path"])
    if not source.is_dir():
        raise NotFound(f"the output of job {name}, {source}, is not on this machine or was never written")
    shutil.copytree(source, download_path, dirs_exist_ok=True)
    note(f"downloaded to {download_path.resolve()}")


class _Teller:
    """Says on stderr how a job gets on: each change of its state, and its progress every few seconds."""

    def __init__(self) -> None:
        self._said: tuple[str, str | None] | None = None
        self._said_at = 0.0
        self._first: tuple[float, int] | None = None
        self._is_live = sys.stderr.isatty()

    def tell(self, job: dict[str, Any]) -> None:
        phase = (job["status"], job["status_reason"])
        if phase != self._said or time.monotonic() - self._said_at >= (0 if self._is_live else _LINE_SECONDS):
            note(f"{job['status']:<15} {self._progress(job)}{phase[1] or ''}".rstrip())
            self._said, self._said_at = phase, time.monotonic()

    def _progress(self, job: dict[str, Any]) -> str:
        progress: dict[str, int] = job["progress"]
        if not progress["items"]:
            return ""
        done = progress["items_succeeded"] + progress["items_failed"]
        words = f"{done}/{progress['items']} items, {progress['items_failed']} failed, {progress['items_left']} left"
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        seconds, since = now - self._first[0], done - self._first[1]
        if since > 0 and seconds > 0.5 and progress["items_left"] and job["status"] == "Running":
            rate = since / seconds
            words += f", {rate:,.1f}/s, {progress['items_left'] / rate:,.0f} s to go"
        return words + ": "
