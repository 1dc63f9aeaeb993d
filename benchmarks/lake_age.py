"""Does a commit of the stream slow down as the table grows older? With the service's upkeep, and without.

    python benchmarks/lake_age.py                    # 1,200 commits each way, then a table of 50,000 commits
    python benchmarks/lake_age.py --commits 300 --age 5000

Each commit is what the stream writes in a second: rows of closed windows, two partitions' positions and states. The old
table's past is made by writing log entries alone, as commits would have left them; what is measured are real commits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from ingestion.checkpoint import Checkpoint
from ingestion.ports import WindowCommit
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA
from storage.lake import upkeep
from storage.lake.vacuum import condition
from storage.lake.window_sink import LakeWindowSink

START = datetime(2026, 3, 1, tzinfo=UTC)
SENSORS = 60
LOG_KEPT = 3 * 3600
"""Log entries of the default retention, at a commit a second."""
STATE = b"state of open windows" * 500


def commit_number(number: int) -> WindowCommit:
    start = START + timedelta(seconds=number)
    row: dict[str, Any] = {field.name: None for field in WINDOW_SCHEMA}
    row |= {"window_start": start, "window_end": start + timedelta(seconds=60), "count": 60, "topic": "t"}
    row |= dict.fromkeys(("mean", "min", "max", "stddev", "last", "median", "p95"), float(number))
    row |= {"partition": 0, "first_offset": number, "last_offset": number}
    rows = [{**row, "machine_id": f"m{n // 6}", "sensor_id": f"m{n // 6}/s{n % 6}"} for n in range(SENSORS)]
    return WindowCommit(
        windows=pa.Table.from_pylist(rows, schema=WINDOW_SCHEMA),
        late=LATE_SCHEMA.empty_table(),
        checkpoints=[
            Checkpoint(partition=partition, next_offset=number + 1, state=STATE + b"%d" % number)
            for partition in range(2)
        ],
    )


def opened_sink(home: Path) -> LakeWindowSink:
    sink = LakeWindowSink(lake_root=home / "lake", state_root=home / "state", stream="windows", topic="t")
    for partition in range(2):
        sink.restore(partition)
    return sink


def timed(sink: LakeWindowSink, first: int, count: int, between: Callable[[int], None]) -> list[float]:
    taken = []
    for number in range(first, first + count):
        commit = commit_number(number)
        began = time.perf_counter()
        sink.commit(commit)
        taken.append((time.perf_counter() - began) * 1000)
        between(number)
    return taken


def told(label: str, taken: list[float], folder: Path) -> None:
    tenth = max(1, len(taken) // 10)
    first, last = taken[1 : 1 + tenth], taken[-tenth:]
    ratio = statistics.median(last) / statistics.median(first)
    at = condition(folder)
    print(
        f"{label:<34} first tenth {statistics.median(first):6.1f} ms  last {statistics.median(last):6.1f} ms  "
        f"ratio {ratio:4.2f}  95 % {statistics.quantiles(taken, n=20)[-1]:6.1f} ms  "
        f"files {at.files:>6}  log entries {at.log_entries:>6}",
        flush=True,
    )


def grown(commits: int, with_upkeep: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        kept = keeper(home)
        spent = [0.0]

        def between(number: int) -> None:
            # a service looks each minute; at a commit a second
            if with_upkeep and number % 60 == 59:
                began = time.perf_counter()
                kept.round(threading.Event(), with_vacuum=True)
                spent[0] += time.perf_counter() - began

        taken = timed(opened_sink(home), 0, commits, between)
        told(f"{commits} commits, {'with' if with_upkeep else 'without'} upkeep", taken, home / "lake/windows")
        if with_upkeep:
            print(f"{'':<34} upkeep took {spent[0] / commits * 1000:.1f} ms a commit, in another process")


def keeper(home: Path) -> upkeep.LakeUpkeep:
    upkeep._PAUSE_BETWEEN_JOINS = 0
    retention = timedelta(seconds=15)
    return upkeep.LakeUpkeep(home / "lake", dict, every=timedelta(0), retention=retention)


def aged(age: int, commits: int, *, is_kept: bool) -> None:
    """A table of `age` commits: as they were left, or as upkeep leaves it: few files, the log of the retention."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        timed(opened_sink(home), 0, 1, lambda number: None)
        folder = home / "lake" / "windows"
        log = folder / "_delta_log"
        lines = (log / f"{1:020}.json").read_text().splitlines()
        (add,) = [json.loads(line) for line in lines if '"add"' in line]
        past = age if not is_kept else min(age, LOG_KEPT)
        for version in range(2, past + 2):
            entry: dict[str, Any] = {"commitInfo": {"timestamp": 0}}
            if not is_kept:
                path = add["add"]["path"].replace("part-", f"part-{version}-")
                entry = {"add": {**add["add"], "path": path}}
            (log / f"{version:020}.json").write_text(json.dumps(entry) + "\n")
        DeltaTable(folder).create_checkpoint()
        taken = timed(opened_sink(home), 1, commits, lambda number: None)
        told(f"{age} commits old, {'kept up' if is_kept else 'as it was left'}", taken, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=1200, help="commits of each growing table")
    parser.add_argument("--age", type=int, default=50_000, help="commits in the past of the old tables")
    given = parser.parse_args()
    grown(given.commits, with_upkeep=False)
    grown(given.commits, with_upkeep=True)
    for is_kept in (False, True):
        aged(given.age, 100, is_kept=is_kept)


if __name__ == "__main__":
    main()
