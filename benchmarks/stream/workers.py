"""The workers of a run: real worker processes on a broker and a lake of their own, with what they cost.

Beside them goes the lake's upkeep, as in a service: how many files a table has is part of what a commit costs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil
from contenders import ROOT

from infra.settings import Settings
from storage.lake.upkeep import LakeUpkeep

READY_SECONDS = 120.0
COMMIT = re.compile(r"committed (\d+) windows, .* in (\d+) ms")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One point of a curve."""

    curve: str
    sensors: int = 200
    partitions: int = 4
    workers: int = 1
    readings: int = 10_000_000


@dataclass(kw_only=True)
class Workers:
    """The worker processes of a run, and what their logs and counters say."""

    logs: list[Path]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def memory_mib(self) -> float:
        """The greatest of the workers' resident sizes."""
        return max(psutil.Process(process.pid).memory_info().rss for process in self.processes) / 2**20

    def cpu_seconds(self) -> float:
        return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in self.processes)

    def commits_ms(self) -> list[int]:
        """Milliseconds of each commit of windows so far, of all workers."""
        found = [COMMIT.finditer(log.read_text()) for log in self.logs]
        return [int(match[2]) for matches in found for match in matches if int(match[1])]

    def check(self) -> None:
        for process, log in zip(self.processes, self.logs, strict=True):
            if process.poll() is not None:
                raise RuntimeError(f"a worker ended with {process.returncode}: {log.read_text()[-2000:]}")

    def wait_until_ready(self, home: Path) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not (home / "run" / "stream.json").exists():
            self.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {READY_SECONDS:.0f} s for the worker to be ready")
            time.sleep(0.2)


@contextmanager
def running(home: Path, bootstrap: str, topic: str, setup: Setup) -> Iterator[tuple[Workers, Settings]]:
    os.environ.update(
        {
            "TIDEMILL_HOME": str(home),
            "TIDEMILL_KAFKA_BOOTSTRAP": bootstrap,
            "TIDEMILL_POSTGRES_URL": "postgresql+psycopg2://none",
            "TIDEMILL_API_URL": "http://127.0.0.1:1",
            "TIDEMILL_DASHBOARD_URL": "http://127.0.0.1:1",
            "TIDEMILL_READINGS_TOPIC": topic,
            "TIDEMILL_PARTITIONS": str(setup.partitions),
            "TIDEMILL_WINDOW_SECONDS": "10",
            "TIDEMILL_ALLOWED_LATENESS_SECONDS": "0",
            "TIDEMILL_IDLE_TIMEOUT_SECONDS": "3600",
        }
    )
    settings = Settings()
    workers = Workers(logs=[home / f"worker-{number}.log" for number in range(setup.workers)])
    try:
        for number, log in enumerate(workers.logs):
            command = [sys.executable, "-m", "infra.cli.main", "stream", "run", "--member", f"worker-{number}"]
            with log.open("w") as output:
                workers.processes.append(subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output))
        with kept_up(settings):
            yield workers, settings
    finally:
        for process in workers.processes:
            process.terminate()
        for process in workers.processes:
            process.wait(60)


@contextmanager
def kept_up(settings: Settings) -> Iterator[None]:
    """The service's upkeep of the lake, of which no job and no schedule needs a past."""
    every, retention = timedelta(seconds=settings.lake_upkeep_seconds), timedelta(hours=settings.lake_retention_hours)
    upkeep = LakeUpkeep(settings.paths.lake, dict, every=every, retention=retention)
    stop = threading.Event()
    beside = threading.Thread(target=upkeep.serve, args=(stop,), name="upkeep", daemon=True)
    beside.start()
    try:
        yield
    finally:
        stop.set()
        beside.join(60)
