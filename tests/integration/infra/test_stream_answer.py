"""What the service answers of the stream, against a real broker, worker and lake: lag, positions, counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.client import TidemillClient
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin
from ingestion.reading import Reading, to_record_batch
from storage.postgres.engine import create_engine
from storage.postgres.migrate import upgrade
from tests.service_process import ServiceProcess
from tests.stream_process import StreamStack, stream_stack
from tests.waiting import until

pytestmark = pytest.mark.stack

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINES = 6
SECONDS = 46
WINDOWS_A_MACHINE = 4  # of 10 seconds; the last reading, at second 45, with 5 of lateness closes up to 40
POISON = 3


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StreamStack]:
    with stream_stack(kafka_bootstrap, tmp_path / "home", "answer") as found:
        yield found


@pytest.fixture
def client(stack: StreamStack, database_url: str) -> Iterator[TidemillClient]:
    engine = create_engine(database_url)
    upgrade(engine)
    engine.dispose()
    service = ServiceProcess(stack.home, database_url)
    service.environment |= stack.environment
    try:
        yield service.start().client
    finally:
        service.client.close()
        service.stop()


def readings() -> list[Reading]:
    return [
        Reading(
            machine_id=f"pump-{machine}",
            sensor_id=f"pump-{machine}/flow",
            event_time=ORIGIN + timedelta(seconds=second),
            value=float(second),
            sequence=second,
        )
        for second in range(SECONDS)
        for machine in range(MACHINES)
    ]


def total(answer: dict[str, Any], field: str) -> int:
    return sum(one[field] for one in answer["partitions"])


def test_lag_positions_and_counters_are_the_brokers_and_the_lakes(stack: StreamStack, client: TidemillClient) -> None:
    sent = readings()
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch(sent), "json")
        publisher.publish(to_record_batch(sent[-MACHINES:]), "json")  # again: duplicates
        publisher.publish(to_record_batch([replace(one, sequence=None) for one in sent[:MACHINES]]), "json")
        for _ in range(POISON):
            publisher.publish_raw(b"pump-0", b"{")
    with TopicAdmin(stack.bootstrap) as admin:
        ends = admin.end_offsets(stack.topic)
    messages = sum(ends.values())

    before = until("the answer of a stream that nobody has read", client.stream, lambda a: a["lag"] == messages)
    assert (before["topic"], before["state"]) == (stack.topic, "ok")
    assert {one["partition"]: one["end_offset"] for one in before["partitions"]} == ends
    assert [one["next_offset"] for one in before["partitions"]] == [None] * stack.partitions
    assert total(before, "accepted") == 0

    worker = stack.start()
    stack.wait_ready(worker)
    progress = stack.wait_committed()
    after = until("no lag", client.stream, lambda a: a["lag"] == 0)
    held = {one["partition"]: one for one in after["partitions"]}
    for partition, one in progress.items():
        shown = held[partition]
        assert shown["next_offset"] == one.next_offset == ends[partition] == shown["end_offset"]
        assert shown["last_commit_at"] is not None
        assert shown["watermark"] == (ORIGIN + timedelta(seconds=SECONDS - 6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert total(after, "accepted") == len(sent)
    assert total(after, "duplicates") == MACHINES
    assert total(after, "late") == MACHINES == len(stack.late())
    assert total(after, "dead_letters") == POISON == len(stack.dead_letters())
    assert after["open_letters"] == POISON
    assert {key: n for one in held.values() for key, n in one["dead_letters_by_reason"].items()} == {"bad_json": POISON}
    assert total(after, "windows") == MACHINES * WINDOWS_A_MACHINE == len(stack.windows())
    assert total(after, "open_windows") == total(after, "machines") == MACHINES

    stack.kill(worker)
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch(sent[:7]), "json")
    behind = until("what came since the worker's end", client.stream, lambda a: a["lag"] == 7)
    assert total(behind, "next_offset") == messages


def test_a_broker_that_is_away_is_said_and_what_is_committed_still_shown(stack: StreamStack, database_url: str) -> None:
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch(readings()), "json")
    stack.wait_ready(stack.start())
    stack.wait_committed()
    engine = create_engine(database_url)
    upgrade(engine)
    engine.dispose()
    service = ServiceProcess(stack.home, database_url)
    service.environment |= stack.environment | {"TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:9"}
    try:
        answer = service.start().client.stream()
    finally:
        service.client.close()
        service.stop()
    assert "kafka at 127.0.0.1:9 did not answer within 4 s when asked for a connection" in answer["state"]
    assert answer["lag"] is None
    assert total(answer, "accepted") == MACHINES * SECONDS
