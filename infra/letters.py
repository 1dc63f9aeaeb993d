"""Dead letters and what is needed to look at them, decide on them and replay them: whose they are, and who met them.

Imports are inside, so that a process loads only what it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from infra.settings import Settings
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    from ingestion.counted_letters import CountedLetters
    from ingestion.definition import StreamDefinition
    from ingestion.letter_desk import LetterDesk
    from ingestion.sent_readings import Refine


@dataclass(frozen=True, kw_only=True, slots=True)
class LetterSource:
    """The letters of one dead-letter topic.

    letters   the dead-letter topic
    readings  where what they are of came from, and is replayed to
    counted   those whose replay is committed, by every stream that takes them
    stream    the defined stream whose alone they are; None where they are the topic's
    """

    letters: str
    readings: str
    counted: Callable[[], CountedLetters]
    stream: StreamDefinition | None = None


def letters_of(settings: Settings, *, stream: str | None = None, topic: str | None = None) -> LetterSource:
    """Those that a defined stream alone refused, or that nobody could read of a topic; default of the readings topic.

    Raises InvalidInput where there is no such stream, or it has no letters of its own.
    """
    from infra.stream_definitions import StreamDefinitions
    from ingestion.definition_document import BUILT_IN
    from ingestion.letter_topics import letters_of_stream, letters_of_topic

    if stream is not None and stream != BUILT_IN:
        found = StreamDefinitions(settings).get(stream)
        if not found.fields:
            raise InvalidInput(
                f"stream {stream} declares no fields, so no letters are its alone; those of its topic: "
                f"`tidemill dlq list --topic {found.topic}`"
            )
        return LetterSource(
            letters=letters_of_stream(found.topic, found.name),
            readings=found.topic,
            counted=lambda: _met_by(settings, found, own=True),
            stream=found,
        )
    if topic is None or topic == settings.readings_topic:
        topics = settings.stream.topics
        return LetterSource(
            letters=topics.dead_letters, readings=topics.readings, counted=lambda: _met_by_built_in(settings)
        )
    return LetterSource(letters=letters_of_topic(topic), readings=topic, counted=lambda: _met_by_all(settings, topic))


@contextmanager
def letter_desk(settings: Settings, source: LetterSource | None = None) -> Iterator[LetterDesk]:
    """Where dead letters are looked at, replayed and discarded; by default those of the readings topic."""
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.kafka.history import KafkaHistory
    from ingestion.kafka.letter_topic import KafkaLetterTopic
    from ingestion.letter_desk import LetterDesk
    from ingestion.sent_readings import SentReadings
    from storage.lake.letter_decisions import LakeDecisions

    source = source or letters_of(settings)
    topic = KafkaLetterTopic(kafka_bootstrap(settings), source.letters, source.readings)
    history = KafkaHistory(kafka_bootstrap(settings), source.readings)
    stream = replace(settings.stream, topics=replace(settings.stream.topics, readings=source.readings))
    try:
        yield LetterDesk(
            topic,
            LakeDecisions(settings.paths.lake, source.letters),
            source.counted,
            SentReadings(history, stream, source.letters, _refined_by(source.stream)),
            now=lambda: datetime.now(UTC),
        )
    finally:
        topic.close()
        history.close()


def _refined_by(definition: StreamDefinition | None) -> Refine | None:
    """A defined stream counts no reading whose declared fields are of other types."""
    if definition is None or not definition.fields:
        return None
    from ingestion.extra_fields import with_fields

    return lambda partition, records, intake: with_fields(partition, records, intake, definition)


def open_letters(settings: Settings) -> Callable[[], int]:
    """Call it for the number of dead letters that wait for somebody. Raises TryAgain, InvalidInput."""
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.kafka.letter_topic import KafkaLetterTopic
    from ingestion.open_letters import OpenLetters
    from storage.lake.letter_decisions import LakeDecisions

    source = letters_of(settings)
    decisions = LakeDecisions(settings.paths.lake, source.letters)
    letters = OpenLetters()

    def count() -> int:
        topic = KafkaLetterTopic(kafka_bootstrap(settings), source.letters, source.readings, limit=timedelta(seconds=4))
        try:
            return letters.count(topic, decisions.known(), source.counted)
        finally:
            topic.close()

    return count


def _met_by_built_in(settings: Settings) -> CountedLetters:
    from storage.lake.stream_state import read_counted_letters

    stream, home = settings.stream, settings.paths
    topics = stream.topics
    return read_counted_letters(home.lake, home.stream_state, stream.name, topics.readings, topics.partitions)


def _met_by(settings: Settings, definition: StreamDefinition, *, own: bool) -> CountedLetters:
    from storage.lake.stream_state import partitions_with_state, read_counted_letters
    from storage.lake.stream_tables import StreamTables

    home = settings.paths
    return read_counted_letters(
        home.lake,
        home.stream_state,
        definition.name,
        definition.topic,
        partitions_with_state(home.stream_state, definition.name, definition.topic),
        table=StreamTables.of(definition).windows,
        own=own,
    )


def _met_by_all(settings: Settings, topic: str) -> CountedLetters:
    """By each stream that is defined on a topic; none where there is no stream."""
    from infra.stream_definitions import StreamDefinitions
    from ingestion.counted_letters import CountedLetters

    found: CountedLetters | None = None
    for stored in StreamDefinitions(settings).all():
        if stored.definition is not None and stored.definition.topic == topic:
            met = _met_by(settings, stored.definition, own=False)
            found = met if found is None else found.in_both(met)
    return CountedLetters() if found is None else found
