"""10-second tumbling count, mean, min and max per sensor, from Kafka into Parquet: tidemill beside its peers.

    .venv/bin/python benchmarks/stream/throughput.py [--rounds 5] [--kinds single,arrow] [--only NAME,…] [--out FILE]

One broker, one topic a kind of message, each contender alone in its own process, in turns; every result is compared
with tidemill's, window by window. Kind `long` is `single`, four times as many and tidemill alone: what each run has to
do once (the first fetch, the last commit) is then small beside the readings. Prints one line a run and a table of
medians and ratios; who fails or differs has a line that says so. The peers' packages are put into an environment of
their own (`benchmarks/stream/.venv`), pinned in peers.lock. `plots.py` draws the file that `--out` names.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import duckdb
import readings as topics_of_readings
from contenders import HERE, PEERS, ROOT, Contender, Failed, Load, contenders

from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from ingestion.encoding import Encoding

__all__ = ["ROOT", "broker"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of messages: how they are written, and how many readings of it are measured."""

    encoding: Encoding
    readings: int


KINDS: Mapping[str, Kind] = {
    "single": Kind(encoding="json", readings=500_000),
    "long": Kind(encoding="json", readings=2_000_000),
    "arrow": Kind(encoding="arrow", readings=60_000_000),
    "lines": Kind(encoding="json_lines", readings=8_000_000),
    "columns": Kind(encoding="json_columns", readings=8_000_000),
}
REFERENCE = "tidemill"
LAST_BITS = 1e-15


@dataclass(frozen=True, kw_only=True)
class Line:
    """One run. Rates in readings a second, by the clock and of CPU time; or why there are none."""

    kind: str
    name: str
    round: int
    rate: float | None
    cpu_rate: float | None
    remark: str
    load: float


def differences(one: Path, other: Path, until_us: int, *, within: float) -> int:
    """Windows that are not in both files with equal count, min and max equal so far, relatively, and mean to 1e-9."""
    query = """
        select count(*) from (select * from read_parquet(?) where window_start < ?) a
        full join (select * from read_parquet(?) where window_start < ?) b using (sensor_id, window_start)
        where a."count" is distinct from b."count" or a.mean is null or b.mean is null
           or abs(a.min - b.min) > ? * abs(a.min) or abs(a.max - b.max) > ? * abs(a.max)
           or abs(a.mean - b.mean) > 1e-9 * abs(a.mean)
    """
    row = duckdb.execute(query, [str(one), until_us, str(other), until_us, within, within]).fetchone()
    return int(row[0]) if row else -1


def compared(one: Path, other: Path, until_us: int) -> str:
    """A remark; a reader of JSON that does not round numbers correctly is told apart from one that counts wrong."""
    apart = differences(one, other, until_us, within=0.0)
    if not apart:
        return "equal"
    wrong = differences(one, other, until_us, within=LAST_BITS)
    return f"{wrong} windows differ" if wrong else f"equal but for the last bit of {apart} windows' min or max"


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
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}; default all")
    parser.add_argument("--scale", type=float, default=1.0, help="times the readings of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="names of contenders beside tidemill, comma-separated")
    parser.add_argument("--out", type=Path, help="JSON file for what was measured; what it has of other kinds stays")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    install_peers()
    only = given.only.split(",") if given.only else None
    with broker() as bootstrap:
        loads = [filled(bootstrap, kind, given.scale) for kind in given.kinds.split(",")]
        lines: list[Line] = []
        # in turns over all kinds, so that what else the machine does falls on all of them
        for number in range(given.rounds):
            for load in loads:
                found = contenders(load.kind)
                chosen = {n: c for n, c in found.items() if only is None or n in only or n.startswith(REFERENCE)}
                lines += one_round(bootstrap, load, chosen, number + 1)
            if given.out:
                save(given.out, lines)
    for load in loads:
        report(load, [line for line in lines if line.kind == load.kind])


def filled(bootstrap: str, kind: str, scale: float) -> Load:
    readings = round(KINDS[kind].readings * scale / 10_000) * 10_000
    began = time.perf_counter()
    messages = topics_of_readings.fill(bootstrap, f"bench-{kind}", readings, KINDS[kind].encoding)
    print(f"{kind}: {readings:,} readings published in {time.perf_counter() - began:.1f} s", flush=True)
    return Load(kind=kind, topic=f"bench-{kind}", readings=readings, messages=messages)


def one_round(bootstrap: str, load: Load, chosen: Mapping[str, Contender], number: int) -> list[Line]:
    lines = []
    until = topics_of_readings.closing_after(load.readings)
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-run-") as folder:
        reference: Path | None = None
        for place, (name, contender) in enumerate(chosen.items()):
            own = Path(folder) / str(place)
            own.mkdir()
            rate = cpu_rate = None
            try:
                run = contender(bootstrap, load, own)
                reference = reference or run.windows
                remark = compared(reference, run.windows, until)
                rate, cpu_rate = load.readings / run.seconds, load.readings / run.cpu
            except (Failed, OSError, duckdb.Error) as error:
                remark = f"failed: {error}"
            line = Line(
                kind=load.kind,
                name=name,
                round=number,
                rate=rate,
                cpu_rate=cpu_rate,
                remark=remark,
                load=os.getloadavg()[0],
            )
            lines.append(line)
            rates = f"{rate:>12,.0f}/s {cpu_rate:>12,.0f}/CPU s" if rate and cpu_rate else f"{'':>30}"
            told = f"  round {number}  {load.kind:<8} {name:<25} {rates}  load {line.load:4.1f}  {remark[:300]}"
            print(told, flush=True)
    return lines


def save(path: Path, lines: Sequence[Line]) -> None:
    kinds = {line.kind for line in lines}
    held = [one for one in json.loads(path.read_text()) if one["kind"] not in kinds] if path.exists() else []
    path.write_text(json.dumps([*held, *(asdict(line) for line in lines)], indent=1))


def report(load: Load, lines: Sequence[Line]) -> None:
    """Medians, and the median of the ratios within a round."""
    by_name: dict[str, dict[int, Line]] = {}
    for line in lines:
        if line.rate:
            by_name.setdefault(line.name, {})[line.round] = line
    ours = by_name.get(REFERENCE) or by_name.get(f"{REFERENCE}, all aggregates") or {}
    title = f"{load.kind}: {load.readings:,} readings"
    print(f"\n| {title} | readings/s (least to most) | readings/CPU s | tidemill is | by CPU time |")
    print("|---|---|---|---|---|")
    for name, rounds in sorted(by_name.items(), key=lambda pair: -middle([line.cpu_rate for line in pair[1].values()])):
        rates = [line.rate for line in rounds.values() if line.rate]
        shared = [number for number in rounds if number in ours]
        ratio = middle([(ours[n].rate or 0) / (rounds[n].rate or 1) for n in shared])
        cpu_ratio = middle([(ours[n].cpu_rate or 0) / (rounds[n].cpu_rate or 1) for n in shared])
        told = f"{middle(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        cpu = middle([line.cpu_rate for line in rounds.values()])
        print(f"| {name} | {told} | {cpu:,.0f} | {ratio:.2f} × | {cpu_ratio:.2f} × |")
    for line in lines:
        if line.remark != "equal":
            print(f"| {line.name}, round {line.round} | {line.remark[:200]} | | | |")
    print(flush=True)


def middle(values: Sequence[float | None]) -> float:
    found = [value for value in values if value is not None]
    return statistics.median(found) if found else 0.0


if __name__ == "__main__":
    main()
