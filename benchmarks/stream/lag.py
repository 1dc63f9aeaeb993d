"""How soon a closed window is readable in the lake, at half the rate that the stream can do. Prints one JSON object.

    .venv/bin/python benchmarks/stream/lag.py                    # the maximal rate is measured first, then half of it
    .venv/bin/python benchmarks/stream/lag.py --rate 200000      # at this rate

Ten-second windows of 200 sensors, Arrow messages of 500 readings, one worker, four partitions; publisher, broker and
worker share the machine. Measured is what the stream page shows: from the moment when the broker had the oldest message
of the fetch that closed a window, to the end of the commit that holds it (`ingestion.freshness`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import readings as topics_of_readings
from growth import Setup, measure, running
from throughput import broker

from infra import wiring
from infra.settings import Settings
from ingestion.freshness import merged, quantile
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin, topic_specs
from ingestion.settings import TopicSettings

GOAL_SECONDS = 2.0
WARM_UP_SECONDS = 10.0


def maximal_rate(bootstrap: str, readings: int) -> float:
    """Readings a second, from a full topic to its end."""
    *_, last = measure(bootstrap, Setup(curve="lag", readings=readings), [readings])
    return last.rate


def publish_at(bootstrap: str, topic: str, rate: float, seconds: float) -> float:
    """Publish at an even rate; returns the rate that came of it, in readings a second."""
    sent = 0
    with KafkaReadingPublisher(bootstrap, topic) as publisher:
        began = time.monotonic()
        for batch in topics_of_readings.batches(round(rate * seconds * 1.2)):
            if time.monotonic() - began >= seconds:
                break
            publisher.publish(batch, "arrow")
            sent += batch.num_rows
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        publisher.flush(timedelta(minutes=2))
        return sent / (time.monotonic() - began)


def readable(settings: Settings, since_minute: int) -> dict[int, int]:
    """Rows by seconds until they were readable, of all partitions."""
    found = wiring.stream_progress(settings).values()
    return merged((one.freshness for one in found), since_minute=since_minute)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, help="readings a second; without it, half of the maximal rate")
    parser.add_argument("--readings", type=int, default=20_000_000, help="to measure the maximal rate with")
    parser.add_argument("--seconds", type=float, default=120.0, help="of publishing; at most ten minutes are kept")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    most = None
    if given.rate is None:
        with broker() as bootstrap:
            most = maximal_rate(bootstrap, given.readings)
    rate = given.rate or most / 2
    setup, topic = Setup(curve="lag"), "lag"
    with broker() as bootstrap, tempfile.TemporaryDirectory(prefix="tidemill-lag-") as folder:
        names = TopicSettings(readings=topic, dead_letters=f"{topic}-dead-letters", partitions=setup.partitions)
        with TopicAdmin(bootstrap) as admin:
            admin.ensure(topic_specs(names))
        with running(Path(folder), bootstrap, topic, setup) as (workers, settings):
            deadline = time.monotonic() + 120
            while not (Path(folder) / "run" / "stream.json").exists():
                workers.check()
                if time.monotonic() > deadline:
                    raise RuntimeError("waited 120 s for the worker to be ready")
                time.sleep(0.2)
            time.sleep(WARM_UP_SECONDS)
            since = int(time.time() // 60)
            reached = publish_at(bootstrap, topic, rate, given.seconds)
            time.sleep(8.0)  # a commit after the last one tells of it
            workers.check()
            rows = readable(settings, since)
    told = {
        "maximal_rate": most and round(most),
        "rate": round(reached),
        "windows": sum(rows.values()),
        "p50_seconds": round(quantile(rows, 0.5) or 0, 2),
        "p95_seconds": round(quantile(rows, 0.95) or 0, 2),
        "p99_seconds": round(quantile(rows, 0.99) or 0, 2),
        "goal_seconds": GOAL_SECONDS,
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
