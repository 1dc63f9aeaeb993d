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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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


@dataclass
class Table:
    """A table under measurement; `between` is done after a commit, and not measured."""

    label: str
    home: Path
    next_commit: int = 0
    between: Callable[[int], None] = lambda number: None
    taken: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sink = opened_sink(self.home)

    @property
    def folder(self) -> Path:
        return self.home / "lake" / "windows"

    def commit(self) -> None:
        commit = commit_number(self.next_commit)
        began = time.perf_counter()
        self.sink.commit(commit)
        self.taken.append((time.perf_counter() - began) * 1000)
        self.between(self.next_commit)
        self.next_commit += 1


def side_by_side(tables: Sequence[Table], commits: int) -> None:
    """A commit to each in turn, so that what else the machine does slows all of them."""
    for _ in range(commits):
        for table in tables:
            table.commit()


def told(table: Table, tenths: Sequence[int], against: Table | None = None) -> None:
    size = max(1, len(table.taken) // 10)
    medians = [statistics.median(table.taken[tenth * size : (tenth + 1) * size]) for tenth in tenths]
    at = condition(table.folder)
    ratio = ""
    if against is not None:
        ratio = f"{statistics.median(table.taken) / statistics.median(against.taken):6.2f} x {against.label}"
    print(
        f"{table.label:<32} "
        + "  ".join(f"tenth {tenth + 1}: {median:6.1f} ms" for tenth, median in zip(tenths, medians, strict=True))
        + f"  files {at.files:>6}  log entries {at.log_entries:>6}{ratio}",
        flush=True,
    )


def grown(commits: int, folder: Path) -> None:
    kept = keeper(folder / "kept")
    spent = [0.0]

    def between(number: int) -> None:
        # a service looks each minute; at a commit a second
        if number % 60 == 59:
            began = time.perf_counter()
            kept.round(threading.Event(), with_vacuum=True)
            spent[0] += time.perf_counter() - began

    left = Table("growing, left alone", folder / "left")
    tables = [left, Table("growing, with upkeep", folder / "kept", between=between)]
    side_by_side(tables, commits)
    for table in tables:
        told(table, (0, 4, 9))
    print(f"{'':<32} upkeep took {spent[0] / commits * 1000:.1f} ms a commit; the service does it in its own process")


def keeper(home: Path) -> upkeep.LakeUpkeep:
    upkeep._PAUSE_BETWEEN_JOINS = 0
    retention = timedelta(seconds=15)
    return upkeep.LakeUpkeep(home / "lake", dict, every=timedelta(0), retention=retention)


def aged(age: int, home: Path, *, is_kept: bool) -> Table:
    """A table of `age` commits, as it was left, or as upkeep leaves it: few files, the log of the retention."""
    table = Table(f"{age:,} commits old, {'kept up' if is_kept else 'left alone'}", home)
    table.commit()
    log = table.folder / "_delta_log"
    lines = (log / f"{1:020}.json").read_text().splitlines()
    (add,) = [json.loads(line) for line in lines if '"add"' in line]
    for version in range(2, 2 + (min(age, LOG_KEPT) if is_kept else age)):
        entry: dict[str, Any] = {"commitInfo": {"timestamp": 0}}
        if not is_kept:
            entry = {"add": {**add["add"], "path": add["add"]["path"].replace("part-", f"part-{version}-")}}
        (log / f"{version:020}.json").write_text(json.dumps(entry) + "\n")
    DeltaTable(table.folder).create_checkpoint()
    return Table(table.label, home, next_commit=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=1200, help="commits of each growing table")
    parser.add_argument("--age", type=int, default=50_000, help="commits in the past of the old tables")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        grown(given.commits, Path(name))
    with tempfile.TemporaryDirectory() as name:
        new = Table("new table", Path(name, "new"))
        old = [aged(given.age, Path(name, f"old-{is_kept}"), is_kept=is_kept) for is_kept in (True, False)]
        side_by_side([new, *old], 100)
        told(new, (0, 4, 9))
        for table in old:
            told(table, (0, 4, 9), against=new)


if __name__ == "__main__":
    main()
