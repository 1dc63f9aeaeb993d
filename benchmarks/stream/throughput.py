"""10-second tumbling count, mean, min and max per sensor, from Kafka into Parquet: tidemill beside its peers.

    .venv/bin/python benchmarks/stream/throughput.py [--readings N] [--batched N] [--rounds 5] [--only NAME,…]

One broker, one topic a kind of message, each contender alone in its own process, in turns; every result is compared
with tidemill's, window by window. Prints one line a run and a table of medians and ratios. The peers' packages are put
into an environment of their own (`benchmarks/stream/.venv`), pinned in peers.lock.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import readings as topics_of_readings
from deltalake import DeltaTable

from infra import wiring
from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from infra.settings import Settings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = HERE / ".venv"
LIMIT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """A topic full of readings."""

    kind: str
    topic: str
    readings: int
    messages: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a contender did: seconds from the first message to the last window written, and the windows' file."""

    seconds: float
    windows: Path


Contender = Callable[[str, Load, Path], Run]


def peer(script: str, python: Path) -> Contender:
    """A script of `peers/` in an interpreter."""

    def run(bootstrap: str, load: Load, folder: Path) -> Run:
        out = folder / "windows.parquet"
        command = [str(python), str(HERE / "peers" / script), bootstrap, load.topic, str(load.messages), str(out)]
        with (folder / "log").open("w") as log:
            answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, timeout=LIMIT_SECONDS, check=False)
        # Faust writes a terminal's control characters beside it
        found = re.search(rb'\{"seconds": ([0-9.e-]+)\}', answer.stdout)
        if answer.returncode or not found:
            raise RuntimeError(f"{script} ended with {answer.returncode}: {(folder / 'log').read_text()[-2000:]}")
        return Run(seconds=float(found[1]), windows=out)

    return run


def tidemill(bootstrap: str, load: Load, folder: Path) -> Run:
    """The real worker: from its readiness to the commit that holds the topic's end."""
    environment = {
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
    os.environ.update(environment)
    settings = Settings()
    command = [sys.executable, "-m", "infra.cli.main", "stream", "run"]
    with (folder / "log").open("w") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            progress = wiring.stream_progress(settings)
            if sum(part.next_offset for part in progress.values()) >= load.messages:
                break
            if worker.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not come to the end: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.5)
    finally:
        worker.terminate()
        worker.wait(30)
    began = json.loads((settings.paths.run / "stream.json").read_text())["since"]
    ended = max(part.last_commit_at for part in progress.values() if part.last_commit_at)
    out = folder / "windows.parquet"
    table = pa.table(DeltaTable(str(settings.paths.lake / "windows")).to_pyarrow_table())
    start = table["window_start"].cast(pa.int64())
    kept = table.select(["sensor_id", "count", "mean", "min", "max"]).append_column("window_start", start)
    pq.write_table(kept, out)
    return Run(seconds=(ended - datetime.fromisoformat(began)).total_seconds(), windows=out)


def contenders() -> dict[str, dict[str, Contender]]:
    ours, theirs = Path(sys.executable), PEERS / "bin" / "python"
    return {
        "single": {
            "tidemill": tidemill,
            "Faust agent": peer("faust_agent.py", ours),
            "confluent-kafka loop": peer("confluent_loop.py", theirs),
            "Quix Streams": peer("quix_streams.py", theirs),
            "Bytewax": peer("bytewax_flow.py", theirs),
            "Pathway": peer("pathway_flow.py", theirs),
        },
        "batched": {"tidemill": tidemill, "aiokafka, vectorised": peer("aiokafka_vectorised.py", ours)},
    }


def differences(one: Path, other: Path, until_us: int) -> int:
    """Windows that are not in both files with equal count, min and max, and a mean equal to 1e-9."""
    query = """
        select count(*) from (select * from read_parquet(?) where window_start < ?) a
        full join (select * from read_parquet(?) where window_start < ?) b using (sensor_id, window_start)
        where a."count" is distinct from b."count" or a.min is distinct from b.min or a.max is distinct from b.max
           or a.mean is null or b.mean is null or abs(a.mean - b.mean) > 1e-9 * abs(a.mean)
    """
    row = duckdb.execute(query, [str(one), until_us, str(other), until_us]).fetchone()
    return int(row[0]) if row else -1


@contextmanager
def broker() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        port, controller_port = free_ports(2)
        kafka = KafkaBroker(home, port=port, controller_port=controller_port)
        kafka.start(limit=120)
        try:
            yield kafka.bootstrap
        finally:
            kafka.stop()


def install_peers() -> None:
    if not PEERS.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(PEERS)], check=True)
    sync = ["uv", "pip", "sync", "--quiet", "--python", str(PEERS / "bin" / "python"), "--require-hashes"]
    subprocess.run([*sync, str(HERE / "peers.lock")], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--readings", type=int, default=500_000, help="of one a message; 0 leaves them out")
    parser.add_argument("--batched", type=int, default=10_000_000, help="of 500 a message; 0 leaves them out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="names of contenders, comma-separated")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    install_peers()
    with broker() as bootstrap:
        for kind, wanted, encoding in (("single", given.readings, "json"), ("batched", given.batched, "arrow")):
            if not wanted:
                continue
            began = time.perf_counter()
            messages = topics_of_readings.fill(bootstrap, f"bench-{kind}", wanted, encoding)
            print(f"{kind}: {wanted:,} readings published in {time.perf_counter() - began:.1f} s", flush=True)
            load = Load(kind=kind, topic=f"bench-{kind}", readings=wanted, messages=messages)
            only = given.only.split(",") if given.only else None
            chosen = {n: c for n, c in contenders()[kind].items() if only is None or n in only or n == "tidemill"}
            report(load, rounds(bootstrap, load, chosen, given.rounds))


def rounds(bootstrap: str, load: Load, chosen: dict[str, Contender], count: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in chosen}
    until = topics_of_readings.closing_after(load.readings)
    for number in range(count):
        with tempfile.TemporaryDirectory(prefix="tidemill-bench-run-") as folder:
            first: Path | None = None
            for name, contender in chosen.items():
                own = Path(folder) / name.replace(" ", "-").replace(",", "")
                own.mkdir()
                run = contender(bootstrap, load, own)
                first = first or run.windows
                apart = differences(first, run.windows, until)
                rates[name].append(load.readings / run.seconds)
                equal = "equal" if apart == 0 else f"{apart} WINDOWS DIFFER"
                told = f"  round {number + 1}  {name:<22} {run.seconds:8.2f} s  {rates[name][-1]:>12,.0f}/s  {equal}"
                print(told, flush=True)
                if apart:
                    sys.exit(f"{name} does not give the same windows")
    return rates


def report(load: Load, rates: dict[str, list[float]]) -> None:
    ours = statistics.median(rates["tidemill"])
    print(f"\n| {load.kind}: {load.readings:,} readings | readings/s, median (least to most) | tidemill is |")
    print("|---|---|---|")
    for name, found in sorted(rates.items(), key=lambda pair: -statistics.median(pair[1])):
        middle = statistics.median(found)
        print(f"| {name} | {middle:,.0f} ({min(found):,.0f} to {max(found):,.0f}) | {ours / middle:.2f} × |")
    print(flush=True)


if __name__ == "__main__":
    main()
