"""The topic of alerts: each row of the `alerts` table once, in the order of its stream's numbers.

The key is the machine, the value the row as JSON, and the headers (text, UTF-8) tell what a consumer picks by: `id`,
`change`, `stream`, `number`, `rule`, `severity`, `state`. One partition: alerts are few, and have one order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from ingestion.alerts.ports import AlertStep, Row
from ingestion.errors import TryAgain
from ingestion.kafka.connection import connected
from ingestion.kafka.dead_letters import letter_producer
from ingestion.kafka.topics import translated

_LOOK_BACK = 2000
"""Messages read at the topic's end, before all of it is read for a stream that is not among them."""

_HEADERS = ("id", "change", "stream", "number", "rule", "severity", "state")


class KafkaAlertTopic:
    """An AlertTopic on kafka-python. Connects when it is asked. Used by one thread at a time; close it."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        limit: timedelta = timedelta(seconds=10),
        step: Callable[[AlertStep], None] = lambda step: None,
    ) -> None:
        self._bootstrap = bootstrap
        self._where = TopicPartition(topic, 0)
        self._limit = limit
        self._step = step
        self._producer: KafkaProducer | None = None

    def published(self, stream: str) -> int:
        """Raises TryAgain where the broker does not answer, or the topic is not there."""
        consumer: KafkaConsumer | None = None
        with translated(f"kafka at {self._bootstrap} did not show the newest alerts"):
            try:
                consumer = connected(
                    KafkaConsumer,
                    self._bootstrap,
                    limit=self._limit,
                    client_id="tidemill-alerts",
                    enable_auto_commit=False,
                    request_timeout_ms=self._milliseconds,
                )
                if not consumer.partitions_for_topic(self._where.topic):
                    raise TryAgain(
                        f"topic {self._where.topic!r} does not exist; create it with `tidemill topics create`"
                    )
                consumer.assign([self._where])
                begin = consumer.beginning_offsets([self._where])[self._where]
                end = consumer.end_offsets([self._where])[self._where]
                tail = max(begin, end - _LOOK_BACK)
                return self._next(consumer, stream, tail, end) or self._next(consumer, stream, begin, tail)
            finally:
                if consumer is not None:
                    consumer.close()

    def publish(self, rows: Sequence[Row]) -> None:
        with translated(f"kafka at {self._bootstrap} took no alerts within {self._limit.total_seconds():g} s"):
            if self._producer is None:
                self._producer = letter_producer(self._bootstrap, "tidemill-alerts", self._limit)
            try:
                sent = [self._send(self._producer, row) for row in rows]
                self._step("sent")
                self._producer.flush(timeout=self._limit.total_seconds())
                for future in sent:
                    future.get(timeout=0.001)
            except BaseException:
                # what still waits in it must not be sent after the topic was asked what it holds
                self._producer.close(timeout=0)
                self._producer = None
                raise

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=1)

    def _send(self, producer: KafkaProducer, row: Row) -> Any:
        return producer.send(
            self._where.topic,
            key=(row["machine_id"] or row["stream"]).encode(),
            value=value_of(row),
            headers=[(name, str(row[name]).encode()) for name in _HEADERS],
            partition=self._where.partition,
        )

    def _next(self, consumer: KafkaConsumer, stream: str, begin: int, end: int) -> int:
        """The number after the stream's greatest one between two offsets; 0 where there is none."""
        found = 0
        if begin < end:
            consumer.seek(self._where, begin)
        while begin < end and consumer.position(self._where) < end:
            records = consumer.poll(timeout_ms=self._milliseconds).get(self._where, [])
            if not records:
                raise TryAgain(f"waited {self._limit.total_seconds():g} s for the newest alerts of {self._where.topic}")
            for record in records:
                headers = dict(record.headers or ())
                if record.offset < end and headers.get("stream", b"").decode(errors="replace") == stream:
                    found = max(found, int(headers["number"]) + 1)
        return found

    @property
    def _milliseconds(self) -> int:
        return int(self._limit.total_seconds() * 1000)


def value_of(row: Row) -> bytes:
    """The row as JSON: times in UTC with `Z`, the key an object."""
    told = {name: _told(value) for name, value in row.items()}
    told["key"] = json.loads(row["key"])
    return json.dumps(told, ensure_ascii=False).encode()


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value
