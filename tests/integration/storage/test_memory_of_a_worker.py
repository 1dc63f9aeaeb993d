"""What a worker holds does not grow with the commits that it has made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.lean_sink import STATE_BYTES

MOST_BYTES_A_COMMIT = 24 * 1024
"""Each commit is of far more, and adds 0 to 7 KB of what the table's log says; 38 with delta-rs's memory as it is."""


def test_a_sink_keeps_nothing_of_its_commits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.lean_sink", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["bytes_a_commit"] < MOST_BYTES_A_COMMIT < STATE_BYTES
