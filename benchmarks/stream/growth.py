"""How the stream's cost grows: with sensors, partitions, workers and readings. Prints a line a run, keeps them as JSON.

    .venv/bin/python benchmarks/stream/growth.py                        # all curves; readings up to 100 million
    .venv/bin/python benchmarks/stream/growth.py --of readings --most 1000000000

Each point is a topic filled beforehand (Arrow messages of 500 readings) and read to its end by real workers into an
empty lake. Of every second are kept: position and the workers' memory; of every commit its time. Then the same workers
get half of the rate that they reached, for how soon a closed window is readable. The curve of `readings` is one run,
looked at each time that ten times as many are done; `lag.py --seconds` tells whether lag stays. `plots.py` draws it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from draining import Point, measure
from lag import Lag, lag_of
from throughput import broker
from workers import Setup

LAG_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Run:
    """A point of a curve: what reading a full topic took, and the lag at half of that rate."""

    point: Point
    lag: Lag | None


def curves(most: int, each: int) -> dict[str, list[tuple[Setup, list[int]]]]:
    marks = [10**power for power in range(6, 13) if 10**power < most]
    return {
        "sensors": [(Setup(curve="sensors", sensors=n, readings=each), [each]) for n in (10, 100, 1000, 10_000)],
        "partitions": [(Setup(curve="partitions", partitions=n, readings=each), [each]) for n in (1, 2, 4, 8, 16)],
        "workers": [(Setup(curve="workers", workers=n, readings=each), [each]) for n in (1, 2, 4)],
        "readings": [(Setup(curve="readings", readings=most), [*marks, most])],
    }


def runs_of(setup: Setup, marks: list[int], lag_seconds: float) -> Iterator[Run]:
    # a broker a topic: earlier topics would fill the disk, and their writing back would slow the next run
    with broker() as bootstrap:
        for point in measure(bootstrap, setup, marks):
            rate = point.rate * LAG_SHARE
            if setup.curve == "readings" or not lag_seconds:
                yield Run(point=point, lag=None)
    if lag_seconds and setup.curve != "readings":
        with broker() as bootstrap:
            yield Run(point=point, lag=lag_of(bootstrap, setup, rate, lag_seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--of", default="sensors,partitions,workers,readings", help="curves, comma-separated")
    parser.add_argument("--each", type=int, default=10_000_000, help="readings a run, where they do not grow")
    parser.add_argument("--most", type=int, default=100_000_000, help="readings of the curve of readings")
    parser.add_argument("--lag-seconds", type=float, default=30.0, help="of publishing at half the rate; 0: no lag")
    parser.add_argument("--into", type=Path, default=Path("growth.json"), help="file; its runs of other curves stay")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    wanted = given.of.split(",")
    held = json.loads(given.into.read_text()) if given.into.exists() else []
    runs = [run for run in held if run["point"]["setup"]["curve"] not in wanted]
    for curve in wanted:
        for setup, marks in curves(given.most, given.each)[curve]:
            for run in runs_of(setup, marks, given.lag_seconds):
                runs.append(asdict(run))
                told(run)
            given.into.write_text(json.dumps(runs, indent=1))


def told(run: Run) -> None:
    point, setup = run.point, run.point.setup
    lag = "" if run.lag is None else f" lag p95 {run.lag.p95_seconds:.2f} s at {run.lag.rate:,.0f}/s"
    print(
        f"  {setup.curve:<10} {setup.sensors:>6} sensors {setup.partitions:>2} partitions {setup.workers} workers"
        f" {point.readings:>13,} readings {point.seconds:7.1f} s {point.rate:>10,.0f}/s"
        f" {point.rate_per_cpu_second:>10,.0f}/cpu-s {point.memory_mib:6.0f} MiB"
        f" commit {point.commit_ms_median:.0f} ms (p95 {point.commit_ms_p95:.0f}) of {point.commits}{lag}",
        flush=True,
    )


if __name__ == "__main__":
    main()
