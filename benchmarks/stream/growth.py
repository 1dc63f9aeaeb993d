"""How the stream's cost grows: with sensors, partitions, workers and readings. Prints a line a run, keeps them as JSON.

    .venv/bin/python benchmarks/stream/growth.py                        # all curves; readings up to 100 million
    .venv/bin/python benchmarks/stream/growth.py --of readings --most 1000000000

Each point is a topic filled beforehand (Arrow messages of 500 readings) and read to its end by real workers into an
empty lake. Of every second are kept: position, lag, the workers' memory; of every commit its time. The curve of
`readings` is one run, looked at each time that ten times as many are done.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil
import readings as topics_of_readings
from throughput import ROOT, broker

from infra import wiring
from infra.settings import Settings

LIMIT_SECONDS = 7200.0
COMMIT = re.compile(r"committed (\d+) windows, .* in (\d+) ms")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One point of a curve."""

    curve: str
    sensors: int = 200
    partitions: int = 4
    workers: int = 1
    readings: int = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a run looked like at one moment, seconds after the workers were ready."""

    seconds: float
    readings: int
    lag_messages: int
    memory_mib: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a run, or its part up to some number of readings, came to."""

    setup: Setup
    readings: int
    seconds: float
    rate: float
    rate_per_cpu_second: float
    memory_mib: float
    commit_ms_median: float
    commit_ms_p95: float
    commits: int
    lag_seconds: float


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
        yield workers, settings
    finally:
        for process in workers.processes:
            process.terminate()
        for process in workers.processes:
            process.wait(60)


def watched(workers: Workers, settings: Settings, messages: int, readings: int) -> Iterator[Moment]:
    """A moment a second, from the first reading taken to the last one committed."""
    began, deadline, start_cpu = time.monotonic(), time.monotonic() + LIMIT_SECONDS, 0.0
    while True:
        workers.check()
        done = sum(part.next_offset for part in wiring.stream_progress(settings).values())
        if not done:
            began, start_cpu = time.monotonic(), workers.cpu_seconds()
        yield Moment(
            seconds=time.monotonic() - began,
            readings=min(readings, round(readings * done / messages)),
            lag_messages=messages - done,
            memory_mib=workers.memory_mib(),
            cpu_seconds=workers.cpu_seconds() - start_cpu,
        )
        if done >= messages:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the workers stood at {done} of {messages} messages after {LIMIT_SECONDS:.0f} s")
        time.sleep(1.0)


def measure(bootstrap: str, setup: Setup, marks: Sequence[int]) -> Iterator[Point]:
    """Points at the first moment at or after each mark (readings done)."""
    topic = f"growth-{setup.curve}-{setup.sensors}-{setup.partitions}-{setup.workers}-{setup.readings}"
    began = time.perf_counter()
    messages = topics_of_readings.fill(
        bootstrap, topic, setup.readings, "arrow", partitions=setup.partitions, sensors=setup.sensors
    )
    print(f"{topic}: published in {time.perf_counter() - began:.0f} s", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-growth-") as folder,
        running(Path(folder), bootstrap, topic, setup) as (workers, settings),
    ):
        left = sorted(marks)
        for moment in watched(workers, settings, messages, setup.readings):
            while left and moment.readings >= left[0]:
                left.pop(0)
                yield _point(setup, moment, workers.commits_ms())


def _point(setup: Setup, moment: Moment, commits: Sequence[int]) -> Point:
    # of the commits of the last tenth, so that a growing commit time shows
    recent = sorted(commits[-max(20, len(commits) // 10) :]) or [0]
    rate = moment.readings / max(moment.seconds, 1.0)
    left = setup.readings - moment.readings
    return Point(
        setup=setup,
        readings=moment.readings,
        seconds=moment.seconds,
        rate=rate,
        rate_per_cpu_second=moment.readings / max(moment.cpu_seconds, 0.1),
        memory_mib=moment.memory_mib,
        commit_ms_median=statistics.median(recent),
        commit_ms_p95=recent[min(len(recent) - 1, int(len(recent) * 0.95))],
        commits=len(commits),
        lag_seconds=left / rate if rate else 0.0,
    )


def curves(most: int, each: int) -> dict[str, list[tuple[Setup, list[int]]]]:
    marks = [10**power for power in range(6, 13) if 10**power < most]
    return {
        "sensors": [(Setup(curve="sensors", sensors=n, readings=each), [each]) for n in (10, 100, 1000, 10_000)],
        "partitions": [(Setup(curve="partitions", partitions=n, readings=each), [each]) for n in (1, 2, 4, 8, 16)],
        "workers": [(Setup(curve="workers", workers=n, readings=each), [each]) for n in (1, 2, 4)],
        "readings": [(Setup(curve="readings", readings=most), [*marks, most])],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--of", default="sensors,partitions,workers,readings", help="curves, comma-separated")
    parser.add_argument("--each", type=int, default=10_000_000, help="readings a run, where they do not grow")
    parser.add_argument("--most", type=int, default=100_000_000, help="readings of the curve of readings")
    parser.add_argument("--into", type=Path, default=Path("growth.json"), help="file of the points")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    points: list[Point] = []
    for curve in given.of.split(","):
        for setup, marks in curves(given.most, given.each)[curve]:
            # a broker a run: the topics of earlier ones would fill the disk
            with broker() as bootstrap:
                for point in measure(bootstrap, setup, marks):
                    points.append(point)
                    told(point)
                    given.into.write_text(json.dumps([asdict(point) for point in points], indent=1))


def told(point: Point) -> None:
    setup = point.setup
    print(
        f"  {setup.curve:<10} {setup.sensors:>6} sensors {setup.partitions:>2} partitions {setup.workers} workers"
        f" {point.readings:>13,} readings {point.seconds:7.1f} s {point.rate:>10,.0f}/s"
        f" {point.rate_per_cpu_second:>10,.0f}/cpu-s {point.memory_mib:6.0f} MiB"
        f" commit {point.commit_ms_median:.0f} ms (p95 {point.commit_ms_p95:.0f}) of {point.commits}",
        flush=True,
    )


if __name__ == "__main__":
    main()
