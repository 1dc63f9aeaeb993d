"""The dead-letter topic: what the stream refused, with its reason, its original bytes and where it came from.

A letter's value and key are the original's; everything that is known about it is in the headers (text, UTF-8):

reason, detail                                              why; reasons are `ingestion.codec.REASONS`
origin-topic, origin-partition, origin-offset, origin-timestamp   where it came from; the timestamp in ms since 1970
rows                                                        indexes of the refused rows of a batch message, `0,4,17`
part                                                        number of the letter among those of one message, from 0
original-size, original-sha256                              where the value was too long for the topic and was cut
replay-of                                                   of a replayed message that was refused again: its letter
original-value                                              `null` where key and value were both null: sent as empty

A letter of partition p lies in partition p. A worker that crashes between a letter and its commit meets the message
again; so the newest letters of a partition are read before the first is written, and none is sent twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from ingestion.counted_letters import REPLAY_OF
from ingestion.errors import TryAgain
from ingestion.intake import DeadLetter
from ingestion.kafka.connection import connected
from ingestion.kafka.topics import MAX_MESSAGE_BYTES, translated
from ingestion.steps import Listener, unheard

_LOOK_BACK = 50
"""Letters read at the end of a partition: more than one, as a fenced worker may write after its successor began."""

_Place = tuple[int, int]  # origin offset, part


class KafkaDeadLetterQueue:
    """A DeadLetterQueue on kafka-python. Connects when the first letter comes: most streams never have one."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        origin_topic: str,
        *,
        longest: int = MAX_MESSAGE_BYTES,
        limit: timedelta = timedelta(seconds=30),
        step: Listener = unheard,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._origin_topic = origin_topic
        self._longest = longest
        self._limit = limit
        self._step = step
        self._producer: KafkaProducer | None = None
        self._stored: dict[int, _Place | None] = {}

    def restore(self, partition: int) -> None:
        # looked up at the first put: what a worker before us stored does not change until then
        self._stored.pop(partition, None)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        fresh = self._fresh(letters)
        if not fresh:
            return
        with translated(f"kafka at {self._bootstrap} took no dead letters within {self._limit.total_seconds():g} s"):
            producer = self._connected()
            sent = [
                producer.send(
                    self._topic,
                    value=self._value(letter),
                    key=letter.message.key,
                    headers=self._headers(letter, place[1]),
                    partition=letter.partition,
                )
                for letter, place in fresh
            ]
            self._step("letters sent")
            producer.flush(timeout=self._limit.total_seconds())
            for future in sent:
                future.get(timeout=0.001)
        for letter, place in fresh:
            self._stored[letter.partition] = place
        self._step("letters stored")

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=1)

    def _fresh(self, letters: Sequence[DeadLetter]) -> list[tuple[DeadLetter, _Place]]:
        """Letters that are not in the topic yet, each with its place among the partition's letters."""
        missing = sorted({letter.partition for letter in letters} - self._stored.keys())
        if missing:
            with translated(f"kafka at {self._bootstrap} did not show the newest dead letters"):
                self._stored.update(self._look_up(missing))
        parts: dict[_Place, int] = {}
        fresh = []
        for letter in letters:
            origin = (letter.partition, letter.message.offset)
            part = parts[origin] = parts.get(origin, -1) + 1
            place = (letter.message.offset, part)
            stored = self._stored[letter.partition]
            if stored is None or place > stored:
                fresh.append((letter, place))
        return fresh

    def _look_up(self, partitions: Sequence[int]) -> dict[int, _Place | None]:
        """Of each partition, the greatest place among its newest letters."""
        consumer = connected(
            KafkaConsumer,
            self._bootstrap,
            limit=self._limit,
            client_id="tidemill-dead-letters",
            enable_auto_commit=False,
            max_partition_fetch_bytes=3 * MAX_MESSAGE_BYTES,
            request_timeout_ms=int(self._limit.total_seconds() * 1000),
        )
        try:
            found: dict[int, _Place | None] = {}
            for partition in partitions:
                found[partition] = self._newest(consumer, TopicPartition(self._topic, partition))
            return found
        finally:
            consumer.close()

    def _newest(self, consumer: KafkaConsumer, where: TopicPartition) -> _Place | None:
        consumer.assign([where])
        begin, end = consumer.beginning_offsets([where])[where], consumer.end_offsets([where])[where]
        if begin == end:
            return None
        consumer.seek(where, max(begin, end - _LOOK_BACK))
        newest: _Place | None = None
        while consumer.position(where) < end:
            records = consumer.poll(timeout_ms=int(self._limit.total_seconds() * 1000)).get(where, [])
            if not records:
                raise TryAgain(f"waited {self._limit.total_seconds():g} s for the newest dead letters of {where}")
            for record in records:
                headers = dict(record.headers or ())
                if headers.get("origin-topic", b"").decode() != self._origin_topic:
                    continue
                place = (int(headers["origin-offset"]), int(headers["part"]))
                newest = place if newest is None else max(newest, place)
        return newest

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = letter_producer(self._bootstrap, "tidemill-dead-letters", self._limit)
        return self._producer

    def _value(self, letter: DeadLetter) -> bytes | None:
        if letter.message.value is None:
            # the client refuses a message of neither key nor value
            return None if letter.message.key is not None else b""
        return letter.message.value[: self._longest]

    def _headers(self, letter: DeadLetter, part: int) -> list[tuple[str, bytes]]:
        value = letter.message.value or b""
        told = {
            "reason": letter.reason,
            "detail": letter.detail,
            "origin-topic": self._origin_topic,
            "origin-partition": letter.partition,
            "origin-offset": letter.message.offset,
            "origin-timestamp": letter.message.timestamp,
            "part": part,
        }
        if letter.rows is not None:
            told["rows"] = ",".join(str(row) for row in letter.rows)
        for name, held in letter.message.headers:
            if name == REPLAY_OF:
                told["replay-of"] = held.decode(errors="replace")
        if letter.message.value is None and letter.message.key is None:
            told["original-value"] = "null"
        if len(value) > self._longest:
            told["original-size"] = len(value)
            told["original-sha256"] = hashlib.sha256(value).hexdigest()
        return [(name, str(text).encode(errors="replace")) for name, text in told.items()]


def letter_producer(bootstrap: str, client_id: str, limit: timedelta) -> KafkaProducer:
    """For single messages that must arrive once: idempotent, acknowledged by all, or refused within `limit`."""
    milliseconds = int(limit.total_seconds() * 1000)
    return connected(
        KafkaProducer,
        bootstrap,
        limit=limit,
        client_id=client_id,
        enable_idempotence=True,
        acks="all",
        linger_ms=5,
        max_request_size=2 * MAX_MESSAGE_BYTES,
        max_block_ms=milliseconds,
        delivery_timeout_ms=milliseconds,
        request_timeout_ms=milliseconds // 2,
        allow_auto_create_topics=False,
    )
