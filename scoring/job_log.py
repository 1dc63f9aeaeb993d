"""What a runner writes into a job's log tree, where people who know Azure look for it.

Nothing here is read again by tidemill but to show it, and a full disk must not end a job: what cannot be written is
left out.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from scoring.job import Job, JobProgress, JobStatus, JobUsage
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchOutcome, MiniBatchResult

_log = logging.getLogger(__name__)

EXECUTION = Path("logs/azureml/executionlogs.txt")
DRIVER = Path("azureml-logs/70_driver_log.txt")
RESULT = Path("logs/job_result.txt")
ERROR = Path("logs/job_error.txt")
MASTER = Path("logs/sys/master_role.txt")
OWN_ERRORS = Path("logs/sys/error/runner.txt")
REPORT = Path("logs/sys/job_report/processed_mini-batches.csv")
TIMES = Path("logs/sys/log_times.jsonl")

_README = """\
logs/user/error.txt                                  every failed try, with the script's traceback
logs/user/error/<node>/<process>.txt                 the same, by process
logs/user/stdout/<node>/<process>.stdout.txt         what the script printed and logged
logs/user/stderr/<node>/<process>.stderr.txt
logs/user/entry_script_log/<node>/<process>.log.txt  EntryScript().logger
logs/job_progress_overview.<yyyymmddhh>.txt          mini-batches and items: planned, done, failed, left, rate
logs/job_result.txt                                  how the job ended, with its counts and what it cost
logs/job_error.txt                                   why it failed, and the first traceback
logs/azureml/executionlogs.txt                       every change of the job's state
logs/azureml/20_image_build_log.txt                  how its environment was made, and what was moved in it
logs/sys/master_role.txt                             ends of mini-batches that failed or were tried again
logs/sys/node/<node>/<process>.txt                   mini-batches that the process scored, with their seconds
logs/sys/job_report/processed_mini-batches.csv       one row a mini-batch
logs/sys/error/                                      errors of tidemill itself
azureml-logs/70_driver_log.txt                       the same as logs/azureml/executionlogs.txt

`tidemill job logs -n JOB` shows all of them as one, in the order of time.
"""

_REPORT_HEAD = ("mini_batch", "outcome", "items", "succeeded", "failed", "tries", "seconds", "worker", "ended_at")
_PROGRESS_SECONDS = 5.0
_SAMPLE_SECONDS = 2.0
_TIMES_LIMIT = 16 * 1024 * 1024


class JobLog:
    """One job's files below `folder`; of every claim alike, each adds to what is there."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._said: tuple[JobStatus, str | None] | None = None
        self._progress_at = 0.0
        self._sampled_at = 0.0
        self._sizes: dict[str, int] = {}

    def state(self, job: Job) -> None:
        """A line where status or reason have changed."""
        said = (job.status, job.status_reason)
        if said == self._said:
            return
        if self._said is None:
            self._write(Path("logs/readme.txt"), _README, mode="w")
        self._said = said
        line = self._stamped(f"{job.status.value}: {job.status_reason or ''}".rstrip(": "))
        for path in (EXECUTION, DRIVER):
            self._write(path, line)

    def line(self, words: str) -> None:
        """A line among those of its states."""
        for path in (EXECUTION, DRIVER):
            self._write(path, self._stamped(words))

    def planned(self, manifest: Manifest, progress: JobProgress, seconds: float) -> None:
        count = len(manifest.mini_batches)
        text = f"Scheduled {count} mini batches in {seconds:.1f} seconds. "
        text += f"There are {count} tasks with {progress.items} items."
        self._write(self._overview(), self._stamped(text))

    def progress(self, progress: JobProgress, *, at_once: bool = False) -> None:
        """A line of the overview, every few seconds at most."""
        if not at_once and time.monotonic() - self._progress_at < _PROGRESS_SECONDS:
            return
        self._progress_at = time.monotonic()
        self._write(self._overview(), self._stamped(progress_line(progress)))

    def ended(self, results: Sequence[MiniBatchResult]) -> None:
        """Ends of mini-batches, as they are recorded."""
        moment = self._now().isoformat(timespec="milliseconds")
        table, told = io.StringIO(), []
        rows = csv.writer(table, lineterminator="\n")
        if not (self._folder / REPORT).exists():
            rows.writerow(_REPORT_HEAD)
        for r in results:
            row = (
                r.index,
                r.outcome.value,
                r.items,
                r.succeeded,
                r.failed,
                r.tries,
                f"{r.seconds:.3f}",
                r.worker or "",
            )
            rows.writerow([*row, moment])
            if r.outcome is MiniBatchOutcome.FAILED or r.tries > 1 or r.failed or r.rows > r.items:
                told.append(self._stamped(_end_line(r)))
        self._write(REPORT, table.getvalue())
        if told:
            self._write(MASTER, "".join(told))

    def result(self, job: Job) -> None:
        """The job's end: counts, cost, and where it failed why."""
        self.sample(at_once=True)
        self.state(job)
        if job.progress != JobProgress():
            self.progress(job.progress, at_once=True)
        lines = [f"{job.name}: {job.status.value}", job.status_reason or ""]
        lines += [counts_line(job.progress)] if job.progress != JobProgress() else []
        lines += [usage_line(job.usage)] if job.usage != JobUsage() else []
        if job.started_at is not None and job.ended_at is not None:
            lines.append(f"started {_time(job.started_at)}, ended {_time(job.ended_at)}")
        self._write(RESULT, "\n".join(line for line in lines if line) + "\n", mode="w")
        if job.status is not JobStatus.FAILED:
            with suppress(OSError):  # of a round before
                (self._folder / ERROR).unlink(missing_ok=True)
        else:
            self._write(
                ERROR, f"{job.status_reason or 'no reason given'}\n\n{job.error or ''}".rstrip() + "\n", mode="w"
            )

    def own_error(self, text: str) -> None:
        """An error of tidemill itself."""
        self._write(OWN_ERRORS, self._stamped(text))

    def sample(self, *, at_once: bool = False) -> None:
        """Note how far the scripts' logs have come: prints carry no time, and the merged view needs one."""
        if not at_once and time.monotonic() - self._sampled_at < _SAMPLE_SECONDS:
            return
        self._sampled_at = time.monotonic()
        try:
            grown = dict(self._grown())
            target = self._folder / TIMES
            if grown and not (target.exists() and target.stat().st_size > _TIMES_LIMIT):
                self._write(TIMES, json.dumps({"at": self._now().timestamp(), "sizes": grown}) + "\n")
        except OSError as error:
            _log.debug("logs of %s could not be looked at: %s", self._folder.name, error)

    def _grown(self) -> list[tuple[str, int]]:
        found = []
        for folder, _, names in os.walk(self._folder / "logs" / "user"):
            for name in names:
                path = Path(folder, name)
                key, size = path.relative_to(self._folder).as_posix(), path.lstat().st_size
                if self._sizes.get(key) != size:
                    self._sizes[key] = size
                    found.append((key, size))
        return found

    def _overview(self) -> Path:
        return Path("logs", f"job_progress_overview.{self._now():%Y%m%d%H}.txt")

    def _stamped(self, text: str) -> str:
        return f"{_time(self._now())} {text}\n"

    def _write(self, path: Path, text: str, *, mode: str = "a") -> None:
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open(mode, encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            _log.warning("%s could not be written: %s", target, error)


def _end_line(r: MiniBatchResult) -> str:
    text = f"mini-batch {r.index} {r.outcome.value} after {r.tries} tries, {r.failed} of {r.items} items failed"
    if r.rows > r.items:
        text += f", warning: {r.rows} rows for {r.items} items, all of them are written"
    return f"{text} ({r.worker or 'no worker'}){': ' + r.error if r.error else ''}"


def progress_line(progress: JobProgress) -> str:
    """How far a job is, in one line: `120 of 1000 items done, 3 failed, 880 left, 12.5 a second, 70 s to go`."""
    done = progress.items_succeeded + progress.items_failed
    left = max(progress.items - done, 0)
    text = f"{done} of {progress.items} items done, {progress.items_failed} failed, {left} left"
    if progress.items_per_second and left:
        text += f", {progress.items_per_second:.3g} a second, {left / progress.items_per_second:.0f} s to go"
    return f"{text} ({progress.mini_batches_done} of {progress.mini_batches} mini-batches)"


def counts_line(progress: JobProgress) -> str:
    left = progress.mini_batches - progress.mini_batches_done
    return (
        f"mini-batches: {progress.mini_batches} total, {progress.mini_batches_done} processed, {left} remaining; "
        f"items: {progress.items} total, {progress.items_succeeded} succeeded, {progress.items_failed} failed; "
        f"{progress.retries} tries repeated"
    )


def usage_line(usage: JobUsage) -> str:
    cores = "" if usage.core_seconds is None else f", {usage.core_seconds:.1f} core-seconds"
    where = f" on {usage.instances} instances, {usage.processes} processes" if usage.processes else ""
    return f"{usage.worker_seconds:.1f} worker-seconds{cores}{where}"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
