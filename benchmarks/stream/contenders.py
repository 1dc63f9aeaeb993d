"""Who is measured: each alone in a process of its own, from a full topic to a file of windows."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from infra.settings import Settings
from infra.stream_definitions import read
from infra.wiring import built_in_stream, defined_streams
from ingestion.checkpoint import Progress

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = HERE / ".venv"
LIMIT_SECONDS = 600.0

DEFINITION = """\
name: compared
description: What the peers compute.
source: {{topic: {topic}}}
window: {{type: tumbling, size: 10s, allowed_lateness: 0s}}
aggregates: {{count: count, mean: mean, min: min, max: max}}
"""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A topic full of readings."""

    kind: str
    topic: str
    readings: int
    messages: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a contender did: seconds, and CPU seconds, from the first message to the last window; the windows' file."""

    seconds: float
    cpu: float
    windows: Path


class Failed(Exception):
    """A contender did not come to the end."""


Contender = Callable[[str, Load, Path], Run]


def peer(script: str, python: Path) -> Contender:
    """A script of `peers/` in an interpreter."""

    def run(bootstrap: str, load: Load, folder: Path) -> Run:
        out = folder / "windows.parquet"
        command = [str(python), str(HERE / "peers" / script), bootstrap, load.topic, str(load.messages), str(out)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
            try:
                told, _ = process.communicate(timeout=LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Failed(f"{script} was not ready within {LIMIT_SECONDS:g} s") from None
        # Faust writes a terminal's control characters beside it
        found = re.search(rb'\{"seconds": ([0-9.e-]+), "cpu": ([0-9.e-]+)\}', told)
        if process.returncode or not found:
            raise Failed(f"{script} ended with {process.returncode}: {(folder / 'log').read_text()[-500:]}")
        return Run(seconds=float(found[1]), cpu=float(found[2]), windows=out)

    return run


def built_in(bootstrap: str, load: Load, folder: Path) -> Run:
    """The real worker of the built-in stream: it computes stddev, last, median and p95 as well."""
    settings = settings_for(bootstrap, load, folder)
    return worker(
        [], folder, load, folder / "run" / "stream.json", "windows", lambda: built_in_stream.stream_progress(settings)
    )


def defined(bootstrap: str, load: Load, folder: Path) -> Run:
    """The real worker of a defined stream that computes what the peers do."""
    settings = settings_for(bootstrap, load, folder)
    file = folder / "compared.yml"
    file.write_text(DEFINITION.format(topic=load.topic))
    definition = read(file, readings_topic=load.topic)
    readiness = defined_streams.readiness_file(settings, definition.name)

    def progress() -> Mapping[int, Progress]:
        return defined_streams.stream_progress(settings, definition)

    return worker([str(file)], folder, load, readiness, definition.table, progress)


def settings_for(bootstrap: str, load: Load, folder: Path) -> Settings:
    """The settings of a worker and of this process."""
    os.environ.update(
        {
            "TIDEMILL_HOME": str(folder),
            "TIDEMILL_KAFKA_BOOTSTRAP": bootstrap,
            "TIDEMILL_POSTGRES_URL": "postgresql+psycopg2://none",
            "TIDEMILL_API_URL": "http://127.0.0.1:1",
            "TIDEMILL_DASHBOARD_URL": "http://127.0.0.1:1",
            "TIDEMILL_READINGS_TOPIC": load.topic,
            "TIDEMILL_WINDOW_SECONDS": "10",
            "TIDEMILL_ALLOWED_LATENESS_SECONDS": "0",
            "TIDEMILL_IDLE_TIMEOUT_SECONDS": "3600",
        }
    )
    return Settings()


def worker(
    arguments: list[str],
    folder: Path,
    load: Load,
    readiness: Path,
    table: str,
    progress: Callable[[], Mapping[int, Progress]],
) -> Run:
    """A worker from its readiness to the commit that holds the topic's end."""
    command = [sys.executable, "-m", "infra.cli.main", "stream", "run", *arguments]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=log, stderr=log)
    observed = psutil.Process(process.pid)
    try:
        deadline = time.monotonic() + LIMIT_SECONDS

        def check() -> None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"the worker did not come to the end: {(folder / 'log').read_text()[-500:]}")

        while not readiness.exists():
            check()
            time.sleep(0.01)
        before = cpu_seconds(observed)
        while True:
            found = progress()
            if sum(part.next_offset for part in found.values()) >= load.messages:
                break
            check()
            time.sleep(1.0)
        cpu = cpu_seconds(observed) - before
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    began = json.loads(readiness.read_text())["since"]
    ended = max(part.last_commit_at for part in found.values() if part.last_commit_at)
    out = folder / "windows.parquet"
    rows = pa.table(DeltaTable(str(folder / "lake" / table)).to_pyarrow_table())
    start = rows["window_start"].cast(pa.int64())
    kept = rows.select(["sensor_id", "count", "mean", "min", "max"]).append_column("window_start", start)
    pq.write_table(kept, out)
    return Run(seconds=(ended - datetime.fromisoformat(began)).total_seconds(), cpu=cpu, windows=out)


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def contenders(kind: str) -> dict[str, Contender]:
    """Those of a kind of messages, tidemill's own first."""
    ours, theirs = Path(sys.executable), PEERS / "bin" / "python"
    tidemill: dict[str, Contender] = {"tidemill": defined, "tidemill, all aggregates": built_in}
    if kind == "long":
        return tidemill
    if kind != "single":
        return {**tidemill, "aiokafka, vectorised": peer("aiokafka_vectorised.py", ours)}
    return {
        **tidemill,
        "Faust agent": peer("faust_agent.py", ours),
        "confluent-kafka loop": peer("confluent_loop.py", theirs),
        "Quix Streams": peer("quix_streams.py", theirs),
        "Bytewax": peer("bytewax_flow.py", theirs),
        "Pathway": peer("pathway_flow.py", theirs),
    }
