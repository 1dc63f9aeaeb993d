"""A sensor that sends again, with its sequence numbers: over a killed worker, over a rebalance, into closed windows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.stream_process import StreamStack, stream_stack

pytestmark = pytest.mark.stack

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINES = 4
SECONDS = 26  # at its end two windows have closed and can be corrected, and one is open


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StreamStack]:
    with stream_stack(kafka_bootstrap, tmp_path, "repeats", partitions=2, correction_lateness_seconds=120.0) as made:
        yield made


def readings(machine: int, seconds: Sequence[int]) -> list[Reading]:
    return [
        Reading(
            machine_id=f"pump-{machine}",
            sensor_id=f"pump-{machine}/flow",
            event_time=ORIGIN + timedelta(seconds=second),
            value=float(second),
            sequence=second,
        )
        for second in seconds
    ]


def send(stack: StreamStack, seconds: Sequence[int], *, is_batch: bool) -> None:
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        for machine in range(MACHINES):
            rows = readings(machine, seconds)
            values = [encode_batch(to_record_batch(rows))] if is_batch else [encode_reading(row) for row in rows]
            for value in values:
                publisher.publish_raw(b"pump-%d" % machine, value)


@pytest.mark.timeout(400)
def test_what_is_sent_again_counts_once(stack: StreamStack) -> None:
    first = stack.start()
    stack.wait_ready(first)
    send(stack, range(SECONDS), is_batch=False)
    stack.wait_committed()
    stack.kill(first)
    again = list(range(SECONDS))
    random.Random(1).shuffle(again)
    send(stack, again, is_batch=True)  # as other messages, in another order
    second = stack.start()
    stack.wait_ready(second)
    stack.wait_committed()
    third = stack.start("--member", "worker-1")  # takes a partition over
    stack.wait_ready(third)
    send(stack, again[::-1], is_batch=True)
    stack.wait_committed()
    send(stack, [1000], is_batch=False)
    progress = stack.wait_committed()

    windows = stack.windows()
    assert [(row["count"], row["max"], row["revision"]) for row in windows] == [
        (10, 9.0, 0),
        (10, 19.0, 0),
        (6, 25.0, 0),
    ] * MACHINES
    counters = [held.counters for held in progress.values()]
    assert sum(held.duplicates for held in counters) == 2 * MACHINES * SECONDS
    assert sum(held.accepted for held in counters) == MACHINES * (SECONDS + 1)
    assert (sum(held.late for held in counters), sum(held.corrections for held in counters)) == (0, 0)
    assert stack.late() == []
