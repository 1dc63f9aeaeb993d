"""A worker's sink in a process as lean as a worker's: `python -m tests.lean_sink FOLDER` commits, and says in JSON how
many bytes each commit has added to the process.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import psutil

from ingestion.stream.lean_process import become_lean

WARM_COMMITS, COMMITS = 80, 120
ROWS = 300
STATE_BYTES = 100_000


def grown(folder: Path) -> float:
    """Bytes a commit that are the process's own, after those commits that fill what is kept for the next ones."""
    become_lean()
    from ingestion.checkpoint import Checkpoint
    from ingestion.ports import WindowCommit
    from ingestion.window import LATE_SCHEMA
    from storage.lake.window_sink import LakeWindowSink
    from tests.contract.lake import window_rows

    sink = LakeWindowSink(lake_root=folder / "lake", state_root=folder / "state", stream="windows", topic="readings")
    sink.restore(0)

    def commit_all(first: int, commits: int) -> int:
        for number in range(first, first + commits):
            # rows and a state of its own, as a worker's are: held ones count
            state = b"%9d" % number + bytes(STATE_BYTES)
            checkpoint = Checkpoint(partition=0, next_offset=number + 1, state=state)
            windows = window_rows(ROWS).drop_columns(["date"])
            sink.commit(WindowCommit(windows=windows, late=LATE_SCHEMA.empty_table(), checkpoints=[checkpoint]))
        gc.collect()
        return int(psutil.Process().memory_full_info().uss)

    before = commit_all(0, WARM_COMMITS)
    return (commit_all(WARM_COMMITS, COMMITS) - before) / COMMITS


if __name__ == "__main__":
    print(json.dumps({"bytes_a_commit": grown(Path(sys.argv[1]))}))
