"""Recordings replayed through the stream: what the lake holds is what DuckDB computes straight from the files."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.stream_process import StreamStack, stream_stack

pytestmark = pytest.mark.stack

RECORDINGS = Path(
    os.environ.get("TIDEMILL_RECORDINGS") or Path(__file__).resolve().parents[4] / "shared" / "data" / "skab"
)
LABELS = ("anomaly", "changepoint")
WINDOW_SECONDS = 60
HEADER = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;Volume Flow RateRMS"
)


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StreamStack]:
    with stream_stack(
        kafka_bootstrap,
        tmp_path / "home",
        "replay",
        window_seconds=WINDOW_SECONDS,
        # a recording ends without a last reading that would close its windows: silence does
        idle_timeout_seconds=2.0,
    ) as found:
        yield found


@pytest.fixture
def made(tmp_path: Path) -> list[Path]:
    """Recordings of the same shape as the testbed's: gaps, odd seconds, repeated seconds, empty cells, labels."""
    paths = []
    for number in range(3):
        random_ = random.Random(number)
        moment = datetime(2020, 3, 9, 23, 50) + timedelta(minutes=7 * number)
        lines = [f"{HEADER};anomaly;changepoint" if number else HEADER]
        for row in range(1200):
            moment += timedelta(seconds=random_.choice([0, 1, 1, 1, 1, 1, 1, 2, 200 if row % 400 == 0 else 1]))
            cells = [f"{random_.gauss(20, 9):.6g}" if random_.random() > 0.02 else "" for _ in range(8)]
            labels = [f"{random_.randint(0, 1)}.0", "0.0"] if number else []
            lines.append(";".join([f"{moment:%Y-%m-%d %H:%M:%S}", *cells, *labels]))
        folder = tmp_path / ("free" if number == 0 else "valve")
        folder.mkdir(exist_ok=True)
        paths.append(folder / f"{number}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def replay(stack: StreamStack, paths: list[Path], *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli.main", "replay", *map(str, paths), *options],
        env=os.environ | stack.environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def computed(paths: list[Path], names: dict[Path, str]) -> dict[tuple[str, str, datetime], tuple[Any, ...]]:
    """count, min, max, mean by machine, sensor and window: DuckDB on the files, with nothing of ours in between."""
    found = {}
    for path in paths:
        rows = duckdb.sql(
            f"""
            with long as (
                unpivot (select * exclude (datetime), datetime as moment
                         from read_csv('{path}', delim=';', header=true, all_varchar=true))
                on columns(* exclude (moment)) into name sensor value reading
            )
            select sensor, time_bucket(interval {WINDOW_SECONDS} seconds, moment::timestamp) as window_start,
                   count(*), min(reading::double), max(reading::double), avg(reading::double)
            from long where reading is not null and reading <> '' and sensor not in {LABELS}
            group by all
            """
        ).fetchall()
        machine = names[path]
        found |= {(machine, f"{machine}/{sensor}", start): tuple(rest) for sensor, start, *rest in rows}
    return found


def check(stack: StreamStack, paths: list[Path], names: dict[Path, str], *options: str) -> None:
    expected = computed(paths, names)
    report = replay(stack, paths, "--ignore", ",".join(LABELS), *options)
    assert report["readings"] == sum(count for count, *_ in expected.values())
    assert report["machines"] == sorted(names.values())
    # after the replay, so that a machine too busy to publish is not taken for a silent one
    stack.wait_ready(stack.start())
    progress = stack.wait_committed(closed=True)
    assert sum(one.counters.accepted for one in progress.values()) == report["readings"]
    assert stack.late() == []
    assert sum(sum(one.counters.dead_letters.values()) for one in progress.values()) == 0
    held = {
        (row["machine_id"], row["sensor_id"], row["window_start"].replace(tzinfo=None)): row for row in stack.windows()
    }
    assert held.keys() == expected.keys()
    for key, (count, least, greatest, mean) in expected.items():
        row = held[key]
        assert (row["count"], row["min"], row["max"]) == (count, least, greatest), key
        assert math.isclose(row["mean"], mean, rel_tol=1e-12, abs_tol=1e-12), key


@pytest.mark.parametrize("encoding", ["batch", "json"])
def test_recordings_of_the_testbeds_shape(stack: StreamStack, made: list[Path], encoding: str) -> None:
    check(stack, made, {path: path.stem for path in made}, "--encoding", encoding)


@pytest.mark.skipif(
    not (RECORDINGS / "valve1").is_dir(),
    reason=f"no recordings of the real testbed in {RECORDINGS}: name their folder in TIDEMILL_RECORDINGS",
)
def test_recordings_of_the_real_testbed(stack: StreamStack) -> None:
    paths = [RECORDINGS / "anomaly-free.csv", *sorted((RECORDINGS / "valve1").glob("*.csv"))]
    paths += sorted((RECORDINGS / "other").glob("*.csv"))
    stems = [path.stem for path in paths]
    names = {path: path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}-{path.stem}" for path in paths}
    check(stack, paths, names)


def test_a_bad_row_publishes_nothing_of_any_file(stack: StreamStack, made: list[Path]) -> None:
    lines = made[1].read_text().splitlines()
    lines[700] = lines[700].replace(";", ";broken", 1)
    made[1].write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli.main", "replay", *map(str, made), "--ignore", ",".join(LABELS)],
        env=os.environ | stack.environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "1.csv, row 700: column 'Accelerometer1RMS': 'broken" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    from ingestion.kafka.topics import TopicAdmin

    with TopicAdmin(stack.bootstrap) as admin:
        assert sum(admin.end_offsets(stack.topic).values()) == 0
