"""The stream commits and upkeep joins at once, both killed with -9 again and again: the rows are a calm run's."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from storage.lake.changes import gained
from storage.lake.vacuum import condition

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]

STREAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from storage.lake.window_sink import LakeWindowSink
    from tests.contract.test_window_sink import commit_of, late_row, window_row

    home, last = Path(sys.argv[1]), int(sys.argv[2])
    sink = LakeWindowSink(lake_root=home / "lake", state_root=home / "state", stream="windows", topic="readings")
    held = sink.restore(0)
    # any error of the sink ends this process with 1, as it does the worker
    for number in range(held.next_offset if held else 0, last):
        sink.commit(commit_of({0: number + 1}, [window_row(number)], [late_row(number)] if number % 7 == 0 else []))
    """
)
UPKEEP = textwrap.dedent(
    """
    import sys, threading
    from datetime import timedelta
    from pathlib import Path
    from storage.lake import upkeep

    upkeep._PAUSE_BETWEEN_JOINS = 0
    needed = {"windows": 0} if sys.argv[2] == "needed" else {}
    lake, retention = Path(sys.argv[1]) / "lake", timedelta(seconds=3)
    kept = upkeep.LakeUpkeep(lake, lambda: needed, every=timedelta(0), retention=retention)
    while True:
        kept.round(threading.Event(), with_vacuum=True)
    """
)


def started(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, env=os.environ, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def rows(folder: Path, column: str) -> list[Any]:
    return sorted(DeltaTable(str(folder)).to_pyarrow_table()[column].to_pylist())


@pytest.mark.timeout(400)
@pytest.mark.parametrize("history", ["needed", "not-needed"])
def test_neither_disturbs_the_other_and_no_kill_harms(tmp_path: Path, history: str) -> None:
    random_ = random.Random(5)
    commits, lives = 240, 6
    windows, late = tmp_path / "lake" / "windows", tmp_path / "lake" / "late_readings"
    upkeep = started(UPKEEP, str(tmp_path), history)
    for life in range(lives):
        goal = commits * (life + 1) // lives
        stream = started(STREAM, str(tmp_path), str(goal))
        if life % 2:
            wait_for_version(windows, goal - 25, stream)
            ended(stream)
        else:
            _, said = stream.communicate(timeout=180)
            assert stream.returncode == 0, f"the stream failed beside the upkeep:\n{said.decode()[-2000:]}"
        time.sleep(random_.uniform(0, 0.3))
        ended(upkeep)
        upkeep = started(UPKEEP, str(tmp_path), history)
    last = started(STREAM, str(tmp_path), str(commits))
    _, said = last.communicate(timeout=180)
    assert last.returncode == 0, said.decode()[-2000:]
    wait_for_joins(windows)
    ended(upkeep)

    assert rows(windows, "first_offset") == list(range(commits))
    assert rows(late, "offset") == list(range(0, commits, 7))
    version = DeltaTable(str(windows)).version()
    assert version > commits, "nothing was joined"
    if history == "needed":
        # a schedule that has scored nothing yet reads each row once, from the files that were there before
        files = gained(windows, 0, version)
        assert sum(file.rows for file in files) == commits
        assert condition(windows).log_entries == version + 1
    restored = started(STREAM, str(tmp_path), str(commits + 1))
    assert restored.wait(timeout=180) == 0
    assert len(rows(windows, "first_offset")) == commits + 1


def wait_for_version(windows: Path, wanted: int, stream: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while stream.poll() is None:
        assert time.monotonic() < deadline
        if (windows / "_delta_log" / f"{wanted:020}.json").exists():
            return
        time.sleep(0.02)
    assert stream.returncode == 0, stream.communicate()[1].decode()[-2000:]


def wait_for_joins(windows: Path) -> None:
    deadline = time.monotonic() + 120
    while condition(windows).small_files:
        assert time.monotonic() < deadline, condition(windows)
        time.sleep(0.1)
