"""How soon a closed window is readable in the lake, at half the rate that the stream can do. Prints one JSON object.

    .venv/bin/python benchmarks/stream/lag.py                    # the maximal rate is measured first, then half of it
    .venv/bin/python benchmarks/stream/lag.py --rate 200000      # at this rate
    .venv/bin/python benchmarks/stream/lag.py --seconds 540      # whether it stays so

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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import readings as topics_of_readings
from draining import measure
from throughput import broker
from workers import Setup, running

from infra.wiring import built_in_stream
from ingestion.freshness import Minutes, merged, quantile
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin, topic_specs
from ingestion.settings import TopicSettings

GOAL_SECONDS = 2.0
WARM_UP_SECONDS = 10.0
LAST_COMMIT_SECONDS = 8.0
"""A commit tells of the one before it: so long until the last one is told of."""


@dataclass(frozen=True, kw_only=True)
class Lag:
    """Seconds until a closed window was readable, of so many windows at so many readings a second.

    p95_by_minute  of each minute of the wall clock, oldest first; the stream keeps ten
    """

    rate: float
    windows: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    p95_by_minute: tuple[float, ...]


def lag_of(bootstrap: str, setup: Setup, rate: float, seconds: float) -> Lag:
    """Publish at `rate` to workers that are ready, for so long."""
    topic = f"lag-{setup.curve}-{setup.sensors}-{setup.partitions}-{setup.workers}"
    names = TopicSettings(readings=topic, dead_letters=f"{topic}-dead-letters", partitions=setup.partitions)
    with TopicAdmin(bootstrap) as admin:
        admin.ensure(topic_specs(names))
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-lag-") as folder,
        running(Path(folder), bootstrap, topic, setup) as (workers, settings),
    ):
        workers.wait_until_ready(Path(folder))
        time.sleep(WARM_UP_SECONDS)
        since = int(time.time() // 60)
        reached = publish_at(bootstrap, topic, setup.sensors, rate, seconds)
        time.sleep(LAST_COMMIT_SECONDS)
        workers.check()
        found = [partition.freshness for partition in built_in_stream.stream_progress(settings).values()]
    rows = merged(found, since_minute=since)
    return Lag(
        rate=round(reached),
        windows=sum(rows.values()),
        p50_seconds=_seconds(rows, 0.5),
        p95_seconds=_seconds(rows, 0.95),
        p99_seconds=_seconds(rows, 0.99),
        p95_by_minute=tuple(_of_minute(found, minute) for minute in _minutes(found, since)),
    )


def publish_at(bootstrap: str, topic: str, sensors: int, rate: float, seconds: float) -> float:
    """Publish at an even rate; returns the rate that came of it, in readings a second."""
    sent = 0
    with KafkaReadingPublisher(bootstrap, topic) as publisher:
        began = time.monotonic()
        for batch in topics_of_readings.batches(round(rate * seconds * 1.2), sensors):
            if time.monotonic() - began >= seconds:
                break
            # a thousand machines' messages at once would be a burst of half a second
            for start in range(0, batch.num_rows, topics_of_readings.BURST):
                part = batch.slice(start, topics_of_readings.BURST)
                publisher.publish(part, "arrow")
                sent += part.num_rows
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        publisher.flush(timedelta(minutes=2))
        return sent / (time.monotonic() - began)


def _minutes(found: list[Minutes], since: int) -> list[int]:
    return sorted({minute for minutes in found for minute in minutes if minute >= since})


def _of_minute(found: list[Minutes], minute: int) -> float:
    return _seconds(merged(({minute: minutes.get(minute, {})} for minutes in found), since_minute=minute), 0.95)


def _seconds(rows: Mapping[int, int], share: float) -> float:
    return round(quantile(rows, share) or 0.0, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, help="readings a second; without it, half of the maximal rate")
    parser.add_argument("--readings", type=int, default=20_000_000, help="to measure the maximal rate with")
    parser.add_argument("--seconds", type=float, default=120.0, help="of publishing; at most ten minutes are kept")
    parser.add_argument("--out", type=Path, help="JSON file for the figures, for plots.py")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    most = None
    if given.rate is None:
        with broker() as bootstrap:
            *_, last = measure(bootstrap, Setup(curve="lag", readings=given.readings), [given.readings])
            most = last.rate
    with broker() as bootstrap:
        lag = lag_of(bootstrap, Setup(curve="lag"), given.rate or (most or 0) / 2, given.seconds)
    told = json.dumps({"maximal_rate": most and round(most), **asdict(lag), "goal_seconds": GOAL_SECONDS}, indent=1)
    print(told)
    if given.out:
        given.out.write_text(told)


if __name__ == "__main__":
    main()
