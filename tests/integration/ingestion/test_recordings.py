"""Recordings through `tidemill replay`, broker and worker: every window equals what DuckDB computes from the CSV files.

Count, min and max are equal bit for bit. The mean is equal within 1e-12 of its size: DuckDB is free in the order in
which it adds, tidemill adds in the order of the offsets.

Recordings lie in the folder that TIDEMILL_RECORDINGS names, or in `shared/data/skab` beside the repository; where there
are none, a generated recording of the same shape is all that is replayed.
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from ingestion.recording import machine_names
from tests.stream_process import StreamStack

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[3]
RECORDINGS = Path(os.environ.get("TIDEMILL_RECORDINGS") or ROOT.parent / "shared" / "data" / "skab")
LABELS = ("anomaly", "changepoint")
WINDOW_SECONDS = 60


def generated(folder: Path) -> list[Path]:
    """Two files of irregular seconds with gaps, small and large numbers, and empty cells."""
    random_ = random.Random(5)
    paths = []
    for name, start in (("left", datetime(2024, 2, 29, 23, 50)), ("right", datetime(2024, 2, 29, 23, 51))):
        path = folder / f"{name}.csv"
        moment = start
        with path.open("w", newline="") as file:
            rows = csv.writer(file, delimiter=";")
            rows.writerow(["datetime", "Pressure", "Volume Flow RateRMS", "Offset", *LABELS])
            for _ in range(2500):
                moment += timedelta(seconds=random_.choice([1, 1, 1, 1, 2, 1, 75 if random_.random() < 0.01 else 1]))
                flow = "" if random_.random() < 0.02 else f"{random_.gauss(120, 9):.3f}"
                values = [f"{random_.gauss(0, 0.3):.6f}", flow, f"{1e9 + random_.random():.7f}"]
                rows.writerow([moment.strftime("%Y-%m-%d %H:%M:%S"), *values, "0.0", "0.0"])
        paths.append(path)
    return paths


def replayed(stack: StreamStack, files: Sequence[Path], labels: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "infra.cli.main", "replay", *map(str, files)]
    if labels:
        command += ["--ignore", ",".join(labels)]
    done = subprocess.run(
        command, env=os.environ | stack.environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def computed(files: Sequence[Path]) -> dict[tuple[str, str, datetime], tuple[int, float, float, float]]:
    """Count, min, max and mean of every sensor and window, straight from the files."""
    found = {}
    for path, machine in machine_names(files).items():
        rows = duckdb.execute(
            f"""
            select sensor, time_bucket(interval '{WINDOW_SECONDS} seconds', datetime) as w,
                   count(value), min(value), max(value), avg(value)
            from (unpivot (from read_csv(?, delim = ';', header = true)) on columns(* exclude (datetime))
                  into name sensor value value)
            where sensor not in ('anomaly', 'changepoint')
            group by all
            """,
            [str(path)],
        ).fetchall()
        for sensor, window, count, least, greatest, mean in rows:
            found[machine, f"{machine}/{sensor}", window] = (count, least, greatest, mean)
    return found


def check(kafka_bootstrap: str, home: Path, files: Sequence[Path]) -> None:
    stack = StreamStack(
        bootstrap=kafka_bootstrap,
        home=home,
        topic=f"recording-{uuid4().hex[:10]}",
        window_seconds=WINDOW_SECONDS,
        allowed_lateness_seconds=30.0,
        idle_timeout_seconds=2.0,
    )
    stack.create_topics()
    expected = computed(files)
    headers = {path: path.open().readline().strip().split(";") for path in files}
    summary = replayed(stack, files, [label for label in LABELS if any(label in h for h in headers.values())])
    assert summary["readings"] == sum(count for count, *_ in expected.values())
    try:
        # after the replay, so that a machine too busy to publish is not taken for a silent one
        stack.wait_ready(stack.start())
        stack.wait_committed(closed=True)
    finally:
        stack.close()

    assert stack.late() == []
    assert stack.dead_letters() == []
    windows = stack.windows()
    found = {(r["machine_id"], r["sensor_id"], r["window_start"].replace(tzinfo=None)): r for r in windows}
    assert len(found) == len(windows)
    assert found.keys() == expected.keys()
    for key, (count, least, greatest, mean) in expected.items():
        row = found[key]
        assert (row["count"], row["min"], row["max"]) == (count, least, greatest), key
        assert math.isclose(row["mean"], mean, rel_tol=1e-12, abs_tol=1e-15), (key, row["mean"], mean)


@pytest.mark.timeout(600)
def test_a_generated_recording(kafka_bootstrap: str, tmp_path: Path) -> None:
    check(kafka_bootstrap, tmp_path / "home", generated(tmp_path))


@pytest.mark.timeout(600)
@pytest.mark.skipif(not any(RECORDINGS.rglob("*.csv")), reason="no recordings: set TIDEMILL_RECORDINGS to their folder")
def test_recordings_of_a_water_pump_testbed(kafka_bootstrap: str, tmp_path: Path) -> None:
    check(kafka_bootstrap, tmp_path / "home", sorted(RECORDINGS.rglob("*.csv")))
