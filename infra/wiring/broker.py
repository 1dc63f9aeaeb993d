"""The broker: where it answers, and who writes and asks there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from ingestion.kafka.publisher import KafkaReadingPublisher


def kafka_bootstrap(settings: Settings) -> str:
    """Where the broker answers; the rest of the stack need not be known. Raises InvalidInput."""
    return settings.kafka_bootstrap or settings.address().kafka_bootstrap


def reading_publisher(settings: Settings) -> KafkaReadingPublisher:
    """A connected publisher to the readings topic; close it. Raises TryAgain where the broker or the topic is away."""
    from ingestion.kafka.publisher import KafkaReadingPublisher

    return KafkaReadingPublisher(kafka_bootstrap(settings), settings.stream.topics.readings)


def topic_ends(settings: Settings, topic: str | None = None) -> Callable[[], Mapping[int, int]]:
    """Call it for the next offset to be written, by partition. It keeps its connection while the broker answers.

    topic  that of the readings where None is given
    """
    from ingestion.errors import IngestionError
    from ingestion.kafka.topics import TopicAdmin

    held: list[TopicAdmin] = []

    def ends() -> Mapping[int, int]:
        if not held:
            held.append(TopicAdmin(kafka_bootstrap(settings), limit=timedelta(seconds=4)))
        try:
            return held[0].end_offsets(topic or settings.stream.topics.readings)
        except IngestionError:
            held.pop().close()
            raise

    return ends


def stream_rows(settings: Settings) -> Callable[[], Sequence[Mapping[str, object]]]:
    """Call it for a row a stream, as `infra.stream_summary` makes them; it keeps its connections to the broker."""
    from infra.stream_summary import summaries

    held: dict[str, Callable[[], Mapping[int, int]]] = {}

    def ends(topic: str) -> Mapping[int, int]:
        if topic not in held:
            held[topic] = topic_ends(settings, topic)
        return held[topic]()

    return lambda: summaries(settings, ends)
