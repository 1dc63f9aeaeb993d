"""The readings topic as a backfill reads it: what is kept, where a moment lies, the messages between two offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from kafka import KafkaConsumer, TopicPartition

from ingestion.backfill.reads import Kept
from ingestion.checkpoint import from_microseconds
from ingestion.codec import EPOCH
from ingestion.errors import InvalidInput, TryAgain
from ingestion.kafka.connection import connected
from ingestion.kafka.topics import MAX_MESSAGE_BYTES, translated
from ingestion.records import Record

_MILLISECOND = timedelta(milliseconds=1)


class KafkaHistory:
    """A History on kafka-python. Connects when it is asked, joins no group; used by one thread; close it."""

    def __init__(self, bootstrap: str, topic: str, *, limit: timedelta = timedelta(seconds=30)) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._limit = limit
        self._consumer: KafkaConsumer | None = None

    def kept(self) -> Mapping[int, Kept]:
        with self._asking("what is kept"):
            consumer, where = self._reader(), self._partitions()
            begins, ends = consumer.beginning_offsets(where), consumer.end_offsets(where)
            firsts = consumer.offsets_for_times(dict.fromkeys(where, 0))
        return {
            one.partition: Kept(
                begin=begins[one],
                end=ends[one],
                first_at=None if firsts[one] is None else from_microseconds(firsts[one].timestamp * 1000),
            )
            for one in where
        }

    def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        milliseconds = max(0, -((EPOCH - moment) // _MILLISECOND))
        with self._asking(f"the offsets at {moment.isoformat()}"):
            where = self._partitions()
            found = self._reader().offsets_for_times(dict.fromkeys(where, milliseconds))
            ends = self._reader().end_offsets(where)
        return {one.partition: ends[one] if found[one] is None else found[one].offset for one in where}

    def read(self, partition: int, begin: int, end: int) -> Iterator[Sequence[Record]]:
        return messages_between(
            self._reader(), TopicPartition(self._topic, partition), begin=begin, end=end, limit=self._limit
        )

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def _partitions(self) -> list[TopicPartition]:
        found = self._reader().partitions_for_topic(self._topic)
        if not found:
            raise InvalidInput(f"topic {self._topic!r} does not exist; create it with `tidemill topics create`")
        return [TopicPartition(self._topic, partition) for partition in sorted(found)]

    def _reader(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = connected(
                KafkaConsumer,
                self._bootstrap,
                limit=self._limit,
                client_id="tidemill-backfill",
                enable_auto_commit=False,
                auto_offset_reset="none",
                max_poll_records=20_000,
                fetch_max_bytes=4 * MAX_MESSAGE_BYTES,
                max_partition_fetch_bytes=2 * MAX_MESSAGE_BYTES,
                request_timeout_ms=int(self._limit.total_seconds() * 1000),
                allow_auto_create_topics=False,
            )
        return self._consumer

    def _asking(self, what: str) -> AbstractContextManager[None]:
        return translated(
            f"kafka at {self._bootstrap} did not tell {what} of {self._topic} within {self._limit.total_seconds():g} s"
        )


def messages_between(
    consumer: KafkaConsumer, where: TopicPartition, *, begin: int, end: int, limit: timedelta
) -> Iterator[Sequence[Record]]:
    """The messages from `begin` up to but not `end`, as they come. Raises TryAgain where none comes for `limit`."""
    if begin >= end:
        return
    consumer.assign([where])
    consumer.seek(where, begin)
    waited = f"waited {limit.total_seconds():g} s for the messages of {where.topic}, partition {where.partition}"
    while (position := consumer.position(where)) < end:
        with translated(waited):
            records = consumer.poll(timeout_ms=int(limit.total_seconds() * 1000)).get(where, [])
        if not records and consumer.position(where) == position:
            raise TryAgain(waited)
        if records and records[-1].offset >= end:
            records = [record for record in records if record.offset < end]
        if records:
            yield records
