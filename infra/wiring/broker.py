"""The broker: where it answers, and who writes and asks there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from ingestion.kafka.publisher import KafkaReadingPublisher
    from ingestion.kafka.topic_ends import TopicEnds


def kafka_bootstrap(settings: Settings) -> str:
    """Where the broker answers; the rest of the stack need not be known. Raises InvalidInput."""
    return settings.kafka_bootstrap or settings.address().kafka_bootstrap


def reading_publisher(settings: Settings) -> KafkaReadingPublisher:
    """A connected publisher to the readings topic; close it. Raises TryAgain where the broker or the topic is away."""
    from ingestion.kafka.publisher import KafkaReadingPublisher

    return KafkaReadingPublisher(kafka_bootstrap(settings), settings.stream.topics.readings)


def topic_ends(settings: Settings) -> TopicEnds:
    """For who asks often how long topics are; close it."""
    from ingestion.kafka.topic_ends import TopicEnds

    return TopicEnds(lambda: kafka_bootstrap(settings))
