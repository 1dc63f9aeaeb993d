"""Readings into Kafka: a stock kafka-python loop beside tidemill's publisher in each encoding.

    .venv/bin/python benchmarks/stream/publishing.py [--rounds 5] [--out FILE]

One broker, in turns, a process each; the readings are in memory before the clock starts, as dicts for the loop and as
record batches for the publisher, and the clock stops when the broker has acknowledged all. Every topic is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import readings as topics_of_readings
from kafka import KafkaProducer
from throughput import broker

from ingestion.encoding import Encoding
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin, topic_specs
from ingestion.settings import TopicSettings

STOCK = "kafka-python loop"
READINGS = {STOCK: 60_000, "json": 60_000, "arrow": 2_000_000, "json_lines": 1_000_000, "json_columns": 1_000_000}


def stock(bootstrap: str, topic: str, readings: int) -> Callable[[], int]:
    """As kafka-python's documents show it."""
    held = [
        row | {"event_time": row["event_time"].isoformat()}
        for batch in topics_of_readings.batches(readings)
        for row in batch.to_pylist()
    ]
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        key_serializer=str.encode,
        value_serializer=lambda reading: json.dumps(reading).encode(),
    )

    def publish() -> int:
        for reading in held:
            producer.send(topic, key=reading["machine_id"], value=reading)
        producer.flush()
        return len(held)

    return publish


def tidemill(bootstrap: str, topic: str, readings: int, encoding: Encoding) -> Callable[[], int]:
    held = list(topics_of_readings.batches(readings))
    publisher = KafkaReadingPublisher(bootstrap, topic)

    def publish() -> int:
        for batch in held:
            publisher.publish(batch, encoding)
        publisher.flush(timedelta(minutes=10))
        return sum(batch.num_rows for batch in held)

    return publish


def measure(bootstrap: str, name: str, readings: int) -> dict[str, float]:
    """In this process."""
    topic = f"publish-{uuid.uuid4().hex[:12]}"
    with TopicAdmin(bootstrap) as admin:
        admin.ensure(topic_specs(TopicSettings(readings=topic, dead_letters=f"{topic}-dead-letters")))
        if name == STOCK:
            publish = stock(bootstrap, topic, readings)
        else:
            publish = tidemill(bootstrap, topic, readings, next(e for e in get_args(Encoding) if e == name))
        wall, cpu = time.perf_counter(), time.process_time()
        sent = publish()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        messages = sum(admin.end_offsets(topic).values())
    per_message = 1 if name in (STOCK, "json") else topics_of_readings.PER_MESSAGE
    if messages != sent // per_message:
        sys.exit(f"{name}: {messages} messages in the topic, {sent // per_message} were sent")
    return {"rate": sent / wall, "cpu_rate": sent / cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # bootstrap, name, readings: one run, in a process
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], given.one[1], int(given.one[2]))))
        return
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found: list[dict[str, object]] = []
    with broker() as bootstrap:
        for number in range(given.rounds):
            for name, readings in READINGS.items():
                command = [sys.executable, __file__, "--one", bootstrap, name, str(readings)]
                answer = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
                if answer.returncode:
                    print(f"  round {number + 1}  {name} failed: {answer.stderr[-300:]}", flush=True)
                    continue
                run = json.loads(answer.stdout)
                found.append({"name": name, "round": number + 1, "load": os.getloadavg()[0], **run})
                told = f"{run['rate']:>12,.0f}/s {run['cpu_rate']:>12,.0f}/CPU s  load {os.getloadavg()[0]:.1f}"
                print(f"  round {number + 1}  {name:<18} {told}", flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))
    report(found)


def report(found: list[dict[str, object]]) -> None:
    def values(name: str, field: str) -> dict[int, float]:
        return {int(str(run["round"])): float(str(run[field])) for run in found if run["name"] == name}

    print("\n| publisher | readings/s (least to most) | readings/CPU s | against the loop | by CPU time |")
    print("|---|---|---|---|---|")
    for name in READINGS:
        rates, cpu = values(name, "rate"), values(name, "cpu_rate")
        if not rates:
            continue
        loop, cpu_loop = values(STOCK, "rate"), values(STOCK, "cpu_rate")
        ratio = statistics.median(rates[n] / loop[n] for n in rates if n in loop)
        cpu_ratio = statistics.median(cpu[n] / cpu_loop[n] for n in cpu if n in cpu_loop)
        told = f"{statistics.median(rates.values()):,.0f} ({min(rates.values()):,.0f} to {max(rates.values()):,.0f})"
        print(f"| {name} | {told} | {statistics.median(cpu.values()):,.0f} | {ratio:.1f} × | {cpu_ratio:.1f} × |")


if __name__ == "__main__":
    main()
