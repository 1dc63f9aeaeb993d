"""A full topic read to its end: what it took, looked at while it went on."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import readings as topics_of_readings
from workers import Setup, Workers, running

from infra.settings import Settings
from infra.wiring import built_in_stream

LIMIT_SECONDS = 7200.0


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a run looked like at one moment, seconds after the workers were ready."""

    seconds: float
    readings: int
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


def watched(workers: Workers, settings: Settings, messages: int, readings: int) -> Iterator[Moment]:
    """A moment a second, from the first reading taken to the last one committed."""
    began, deadline, start_cpu = time.monotonic(), time.monotonic() + LIMIT_SECONDS, 0.0
    while True:
        workers.check()
        done = sum(part.next_offset for part in built_in_stream.stream_progress(settings).values())
        if not done:
            began, start_cpu = time.monotonic(), workers.cpu_seconds()
        yield Moment(
            seconds=time.monotonic() - began,
            readings=min(readings, round(readings * done / messages)),
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
    )
