"""The publisher on a real broker: order, loss, outages."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from kafka import KafkaConsumer, TopicPartition

from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from ingestion.errors import InvalidInput, TryAgain
from ingestion.json_batches import decode
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import MAX_MESSAGE_BYTES, READINGS_CONFIG, TopicAdmin, TopicSpec
from ingestion.reading import READING_SCHEMA, Reading, to_record_batch
from tests.waiting import until

pytestmark = pytest.mark.stack

PARTITIONS = 3
START = datetime(2026, 3, 1, tzinfo=UTC)


def create(bootstrap: str) -> str:
    name = f"publisher-{uuid4().hex[:8]}"
    with TopicAdmin(bootstrap) as admin:
        admin.ensure([TopicSpec(name=name, partitions=PARTITIONS, config=READINGS_CONFIG)])
    return name


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    return create(kafka_bootstrap)


def batch(begin: int, count: int, machines: int = 5) -> pa.RecordBatch:
    return to_record_batch(
        Reading(
            machine_id=f"m{number % machines}",
            sensor_id=f"m{number % machines}/flow",
            event_time=START + timedelta(seconds=number),
            value=number / 7,
            unit="m3/h",
            sequence=number,
        )
        for number in range(begin, begin + count)
    )


def stored(bootstrap: str, topic: str) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Every message of the topic: partition, key, value."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=32 * 1024 * 1024)
    where = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(where)
    consumer.seek_to_beginning(*where)
    left = sum(consumer.end_offsets(where).values())
    deadline = time.monotonic() + 120
    while left:
        assert time.monotonic() < deadline, f"{left} messages were not read within 120 s"
        for records in consumer.poll(timeout_ms=500).values():
            left -= len(records)
            yield from ((record.partition, record.key, record.value) for record in records)
    consumer.close()


@pytest.mark.parametrize("encoding", ["json", "arrow"])
def test_what_is_published_is_stored_by_machine_and_in_order(kafka_bootstrap: str, topic: str, encoding: str) -> None:
    with KafkaReadingPublisher(kafka_bootstrap, topic) as publisher:
        for begin in range(0, 3000, 500):
            publisher.publish(batch(begin, 500), encoding)  # type: ignore[arg-type]
        publisher.flush()
        assert publisher.acknowledged == (3000 if encoding == "json" else 30)
    found: dict[str, list[int]] = defaultdict(list)
    partitions: dict[str, set[int]] = defaultdict(set)
    for partition, key, value in stored(kafka_bootstrap, topic):
        rows = decode(value)
        assert rows.column("machine_id").unique().to_pylist() == [(key or b"").decode()]
        machine = (key or b"").decode()
        found[machine] += rows.column("sequence").to_pylist()
        partitions[machine].add(partition)
    assert found == {f"m{number}": list(range(number, 3000, 5)) for number in range(5)}
    assert all(len(one) == 1 for one in partitions.values())


def test_readings_come_back_as_they_were(kafka_bootstrap: str, topic: str) -> None:
    sent = batch(0, 100, machines=1)
    with KafkaReadingPublisher(kafka_bootstrap, topic) as publisher:
        publisher.publish(sent, "arrow")
    ((_, key, value),) = stored(kafka_bootstrap, topic)
    assert key == b"m0"
    assert decode(value).to_pylist() == sent.to_pylist()


def test_nothing_published_is_nothing_stored(kafka_bootstrap: str, topic: str) -> None:
    with KafkaReadingPublisher(kafka_bootstrap, topic) as publisher:
        publisher.publish(pa.RecordBatch.from_pylist([], schema=READING_SCHEMA), "arrow")
        publisher.publish(pa.RecordBatch.from_pylist([], schema=READING_SCHEMA), "json")
        publisher.flush()
    assert list(stored(kafka_bootstrap, topic)) == []


def test_ten_megabytes_reach_the_topic_and_more_than_it_takes_is_refused_at_once(
    kafka_bootstrap: str, topic: str
) -> None:
    huge = os.urandom(10_000_000)
    with KafkaReadingPublisher(kafka_bootstrap, topic) as publisher:
        publisher.publish_raw(b"m", huge)
        with pytest.raises(InvalidInput, match="is longer than the topic takes"):
            publisher.publish_raw(b"m", bytes(MAX_MESSAGE_BYTES + 1))
        publisher.publish_raw(None, b"no key")
        publisher.publish_raw(b"m", b"")
    values = {value for _, _, value in stored(kafka_bootstrap, topic)}
    assert values == {huge, b"no key", b""}


def test_an_absent_topic_or_broker_is_told_within_its_limit(kafka_bootstrap: str) -> None:
    began = time.monotonic()
    with pytest.raises(TryAgain, match="topic 'nowhere' is not there"):
        KafkaReadingPublisher(kafka_bootstrap, "nowhere", connect_limit=timedelta(seconds=2))
    with pytest.raises(TryAgain, match=r"kafka at 127\.0\.0\.1:1 did not answer within 1 s"):
        KafkaReadingPublisher("127.0.0.1:1", "nowhere", connect_limit=timedelta(seconds=1))
    assert time.monotonic() - began < 100


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker that only this test kills and starts again."""
    port, controller_port = free_ports(2)
    broker = KafkaBroker(tmp_path, port=port, controller_port=controller_port)
    broker.start(limit=180)
    try:
        yield broker
    finally:
        broker.stop()


def kill(broker: KafkaBroker) -> None:
    assert broker._process is not None
    os.killpg(broker._process.pid, signal.SIGKILL)
    broker._process.wait(timeout=60)


def test_a_killed_broker_is_ridden_out_without_loss_repeat_or_disorder(own_broker: KafkaBroker) -> None:
    topic = create(own_broker.bootstrap)
    enough = threading.Event()
    count = 0
    with KafkaReadingPublisher(own_broker.bootstrap, topic, outage_limit=timedelta(seconds=180)) as publisher:

        def publish() -> None:
            nonlocal count
            while not enough.is_set():
                publisher.publish(batch(count, 50), "json")
                count += 50
                time.sleep(0.02)

        def wait_for(more: int) -> None:
            begin = count
            until(f"{more} more are published", lambda: published.done() or count >= begin + more)

        # the broker dies with the thread that started it, so that must be this one
        with ThreadPoolExecutor(1) as pool:
            published = pool.submit(publish)
            wait_for(2000)
            kill(own_broker)
            wait_for(2000)
            own_broker.start(limit=180)
            wait_for(1000)
            enough.set()
            published.result(timeout=180)
        publisher.flush(timedelta(seconds=180))
        assert publisher.acknowledged == count
    found: dict[bytes | None, list[int]] = defaultdict(list)
    for _, key, value in stored(own_broker.bootstrap, topic):
        found[key] += decode(value).column("sequence").to_pylist()
    assert found == {f"m{number}".encode(): list(range(number, count, 5)) for number in range(5)}


def test_a_broker_that_stays_away_is_an_error_never_a_silent_loss(own_broker: KafkaBroker) -> None:
    topic = create(own_broker.bootstrap)
    publisher = KafkaReadingPublisher(
        own_broker.bootstrap, topic, outage_limit=timedelta(seconds=3), linger=timedelta(0)
    )
    publisher.publish(batch(0, 10), "json")
    publisher.flush()
    kill(own_broker)
    publisher.publish(batch(10, 10), "json")
    with pytest.raises(TryAgain, match=r"waited 0\.5 s for kafka at .* to acknowledge 10 messages"):
        publisher.flush(timedelta(seconds=0.5))
    with pytest.raises(TryAgain, match=f"of .* messages were not delivered to {topic}"):
        publisher.flush(timedelta(seconds=120))
    with pytest.raises(TryAgain, match="were not delivered"):
        publisher.publish(batch(20, 1), "json")
    with pytest.raises(TryAgain, match="were not delivered"):
        publisher.close()
    publisher.close()
    assert publisher.acknowledged == 10


def test_a_full_buffer_waits_for_the_broker_and_gives_up_at_the_limit(own_broker: KafkaBroker) -> None:
    topic = create(own_broker.bootstrap)
    publisher = KafkaReadingPublisher(
        own_broker.bootstrap, topic, outage_limit=timedelta(seconds=2), buffer_bytes=10_000
    )
    os.killpg(own_broker._process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
    try:
        began = time.monotonic()
        publisher.publish_raw(b"m", bytes(6000))
        with pytest.raises(TryAgain, match=r"waited 2 s for kafka|were not delivered"):
            publisher.publish_raw(b"m", bytes(6000))
        assert 1.5 < time.monotonic() - began < 100
    finally:
        os.killpg(own_broker._process.pid, signal.SIGCONT)  # type: ignore[union-attr]
        with pytest.raises(TryAgain):
            publisher.close(timedelta(seconds=1))
