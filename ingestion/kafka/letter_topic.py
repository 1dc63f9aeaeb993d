"""The dead-letter topic as people see it: its letters in order, one of them, and the messages that replay them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.partitioner.default import murmur2

from ingestion.counted_letters import LetterId, replay_header
from ingestion.errors import InvalidInput, TryAgain
from ingestion.kafka.connection import connected
from ingestion.kafka.dead_letters import letter_producer
from ingestion.kafka.history import messages_between
from ingestion.kafka.topics import MAX_MESSAGE_BYTES, translated
from ingestion.letter import Letter
from ingestion.records import Record


class KafkaLetterTopic:
    """Connects when it is asked. Used by one thread at a time; close it."""

    def __init__(
        self, bootstrap: str, topic: str, readings_topic: str, *, limit: timedelta = timedelta(seconds=30)
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._readings = readings_topic
        self._limit = limit
        self._consumer: KafkaConsumer | None = None
        self._producer: KafkaProducer | None = None
        self._failures: list[BaseException] = []

    def bounds(self) -> dict[int, tuple[int, int]]:
        """The first offset that is kept and the next to be written, by partition. Raises TryAgain, InvalidInput."""
        with translated(f"kafka at {self._bootstrap} did not tell the offsets of {self._topic}"):
            consumer = self._reader()
            found = consumer.partitions_for_topic(self._topic)
            if not found:
                raise InvalidInput(f"topic {self._topic!r} does not exist; create it with `tidemill topics create`")
            where = [TopicPartition(self._topic, partition) for partition in sorted(found)]
            begins, ends = consumer.beginning_offsets(where), consumer.end_offsets(where)
        return {one.partition: (begins[one], ends[one]) for one in where}

    def each(self, partition: int | None = None) -> Iterator[Letter]:
        """Every letter that is kept now, by partition and offset. Raises TryAgain where the broker falls silent."""
        for number, (begin, end) in self.bounds().items():
            if partition is None or number == partition:
                yield from self.between(number, begin, end)

    def these(self, wanted: Collection[LetterId], *, kept_only: bool = False) -> Iterator[Letter]:
        """The letters of these numbers, by partition and offset. Raises InvalidInput where one is not there.

        kept_only  pass over those that are not kept any more
        """
        bounds = self.bounds() if wanted else {}
        by_partition: dict[int, list[int]] = {}
        for letter in sorted(wanted):
            begin, end = bounds.get(letter.partition, (0, 0))
            if not begin <= letter.offset < end:
                if kept_only:
                    continue
                kept = f"keeps {begin} to {end - 1}" if end > begin else "keeps none"
                raise InvalidInput(f"there is no letter {letter}; partition {letter.partition} of {self._topic} {kept}")
            by_partition.setdefault(letter.partition, []).append(letter.offset)
        for partition, offsets in by_partition.items():
            chosen = set(offsets)
            for found in self.between(partition, offsets[0], offsets[-1] + 1):
                if found.id.offset in chosen:
                    yield found

    def partition_of(self, key: bytes) -> int:
        """Where the readings of a machine lie: as every producer with Kafka's own partitioning decides."""
        with translated(f"kafka at {self._bootstrap} did not tell the partitions of {self._readings}"):
            found = self._reader().partitions_for_topic(self._readings)
        if not found:
            raise InvalidInput(f"topic {self._readings!r} does not exist; create it with `tidemill topics create`")
        return int((murmur2(key) & 0x7FFFFFFF) % len(found))

    def publish(self, letter: LetterId, partition: int, key: bytes | None, value: bytes) -> None:
        """Hand a replay over; it names its letter. On the broker's disk after `flush`. Raises TryAgain."""
        with translated(f"kafka at {self._bootstrap} took no replay of letter {letter}"):
            self._writer().send(
                self._readings,
                value=value,
                key=key,
                headers=[replay_header(self._topic, letter)],
                partition=partition,
            ).add_errback(self._failures.append)

    def flush(self) -> None:
        """Return once the broker has all that was published. Raises TryAgain."""
        if self._producer is None:
            return
        with translated(f"kafka at {self._bootstrap} took no replays within {self._limit.total_seconds():g} s"):
            self._producer.flush(timeout=self._limit.total_seconds())
        if self._failures:
            failures, self._failures[:] = list(self._failures), []
            raise TryAgain(
                f"{len(failures)} replays did not reach {self._readings}; the first failed with: {failures[0]}"
            )

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
        if self._producer is not None:
            self._producer.close(timeout=1)

    def between(self, partition: int, begin: int, end: int) -> Iterator[Letter]:
        """The letters from `begin` up to but not `end`. Raises TryAgain where the broker falls silent."""
        where = TopicPartition(self._topic, partition)
        for records in messages_between(self._reader(), where, begin=begin, end=end, limit=self._limit):
            for record in records:
                yield _letter(partition, record)

    def _reader(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = connected(
                KafkaConsumer,
                self._bootstrap,
                limit=self._limit,
                client_id="tidemill-letters",
                enable_auto_commit=False,
                max_partition_fetch_bytes=3 * MAX_MESSAGE_BYTES,
                request_timeout_ms=int(self._limit.total_seconds() * 1000),
            )
        return self._consumer

    def _writer(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = letter_producer(self._bootstrap, "tidemill-replays", self._limit)
        return self._producer


def _letter(partition: int, record: Record) -> Letter:
    headers = {name: held.decode(errors="replace") for name, held in record.headers or ()}
    rows, size = headers.get("rows"), headers.get("original-size")
    origin: Sequence[str] = [headers.get(f"origin-{name}", "0") for name in ("topic", "partition", "offset")]
    return Letter(
        id=LetterId(partition, record.offset),
        stored_at=datetime.fromtimestamp(max(record.timestamp or 0, 0) / 1000, UTC),
        reason=headers.get("reason", "unknown"),
        detail=headers.get("detail", ""),
        origin=(origin[0], int(origin[1]), int(origin[2])),
        key=record.key,
        value=None if headers.get("original-value") == "null" else record.value,
        rows=tuple(int(row) for row in rows.split(",")) if rows else None,
        original_size=int(size) if size else None,
        replay_of=headers.get("replay-of"),
    )
