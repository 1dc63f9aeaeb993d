"""Topics of a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition

from ingestion.errors import InvalidInput, TryAgain
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin, TopicSpec, topic_specs, wait_for_broker
from ingestion.settings import TopicSettings

pytestmark = pytest.mark.stack


@pytest.fixture
def admin(kafka_bootstrap: str) -> Iterator[TopicAdmin]:
    with TopicAdmin(kafka_bootstrap) as found:
        yield found


@pytest.fixture
def settings() -> TopicSettings:
    name = f"topics-{uuid4().hex[:8]}"
    return TopicSettings(readings=name, dead_letters=f"{name}-dead-letters", alerts=f"{name}-alerts", partitions=3)


def test_topics_are_created_once_with_their_settings(admin: TopicAdmin, settings: TopicSettings) -> None:
    specs = topic_specs(settings)
    assert admin.ensure(specs) == [settings.readings, settings.dead_letters, settings.alerts]
    assert admin.ensure(specs) == []
    assert {settings.readings, settings.dead_letters} <= set(admin.names())
    for spec, state in zip(specs, admin.describe([spec.name for spec in specs]), strict=True):
        assert (state.name, state.partitions) == (spec.name, 1 if spec.name == settings.alerts else 3)
        assert spec.config.items() <= state.config.items()
        assert state.end == state.beginning == dict.fromkeys(range(spec.partitions), 0)


def test_settings_that_changed_are_brought_up_to_date(admin: TopicAdmin, settings: TopicSettings) -> None:
    (readings, *_) = topic_specs(settings)
    admin.ensure([TopicSpec(name=readings.name, partitions=3, config={"retention.ms": "1000"})])
    assert admin.ensure([readings]) == []
    (state,) = admin.describe([readings.name])
    assert state.config["retention.ms"] == readings.config["retention.ms"]


def test_another_number_of_partitions_is_refused_with_the_mend(admin: TopicAdmin, settings: TopicSettings) -> None:
    admin.ensure(topic_specs(settings))
    other = TopicSettings(readings=settings.readings, dead_letters=settings.dead_letters, partitions=4)
    with pytest.raises(InvalidInput, match="has 3 partitions, the settings want 4; set TIDEMILL_PARTITIONS=3"):
        admin.ensure(topic_specs(other))


def test_end_offsets_count_messages_by_partition(
    kafka_bootstrap: str, admin: TopicAdmin, settings: TopicSettings
) -> None:
    admin.ensure(topic_specs(settings))
    assert admin.end_offsets(settings.readings) == {0: 0, 1: 0, 2: 0}
    with KafkaReadingPublisher(kafka_bootstrap, settings.readings) as publisher:
        for number in range(30):
            publisher.publish_raw(b"machine-%d" % number, b"{}")
    assert sum(admin.end_offsets(settings.readings).values()) == 30
    (state,) = admin.describe([settings.readings])
    assert state.messages == 30


def test_absent_topics_are_told(admin: TopicAdmin) -> None:
    assert admin.describe(["nowhere"]) == []
    with pytest.raises(InvalidInput, match="topic 'nowhere' does not exist; create it with `tidemill topics create`"):
        admin.end_offsets("nowhere")
    admin.delete(["nowhere"])


def test_records_carry_the_brokers_time_not_the_senders(
    kafka_bootstrap: str, admin: TopicAdmin, settings: TopicSettings
) -> None:
    admin.ensure(topic_specs(settings))
    before = time.time() * 1000
    with KafkaReadingPublisher(kafka_bootstrap, settings.readings) as publisher:
        publisher._producer.send(settings.readings, key=b"m", value=b"{}", timestamp_ms=7)
        publisher.flush()
    consumer = KafkaConsumer(bootstrap_servers=kafka_bootstrap, consumer_timeout_ms=60_000)
    where = [TopicPartition(settings.readings, number) for number in range(3)]
    consumer.assign(where)
    consumer.seek_to_beginning(*where)
    record = next(iter(consumer))
    consumer.close()
    assert before - 5000 < record.timestamp < time.time() * 1000 + 5000


def test_a_broker_that_is_there_is_found_and_one_that_is_not_is_told(kafka_bootstrap: str) -> None:
    wait_for_broker(kafka_bootstrap, timedelta(seconds=60))
    began = time.monotonic()
    with pytest.raises(TryAgain, match=r"waited 1 s for kafka at 127\.0\.0\.1:1: "):
        wait_for_broker("127.0.0.1:1", timedelta(seconds=1))
    assert time.monotonic() - began < 60
    with pytest.raises(TryAgain, match=r"kafka at 127\.0\.0\.1:1 did not answer within"):
        TopicAdmin("127.0.0.1:1", limit=timedelta(seconds=1))
