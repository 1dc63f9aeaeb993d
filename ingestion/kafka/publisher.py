"""Sends readings to Kafka, keyed by machine, and loses none silently."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from ingestion.encoding import Encoding
from ingestion.errors import InvalidInput, TryAgain
from ingestion.json_batches import ENCODERS, encode_readings
from ingestion.kafka.connection import connected
from ingestion.kafka.topics import MAX_MESSAGE_BYTES, translated
from ingestion.reading import by_machine


class KafkaReadingPublisher:
    """A ReadingPublisher on kafka-python: idempotent, acknowledged by all, lz4-compressed.

    Sending is asynchronous. A message that the broker has not acknowledged within `outage_limit` is an error, raised by
    the next publish, flush or close; from then on the publisher refuses work, since going on would leave a hole in a
    machine's readings. A broker that restarts within the limit is ridden out, without loss, repeats or another order.
    What waits for acknowledgement is at most `buffer_bytes`; then publish waits.
    Used by one thread at a time.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        outage_limit: timedelta = timedelta(seconds=120),
        connect_limit: timedelta = timedelta(seconds=30),
        buffer_bytes: int = 64 * 1024 * 1024,
        linger: timedelta = timedelta(milliseconds=10),
    ) -> None:
        """Connects. Raises TryAgain where no broker answers, or it has no such topic, within `connect_limit`."""
        self._topic = topic
        self._bootstrap = bootstrap
        self._outage_limit = outage_limit
        self._buffer_bytes = buffer_bytes
        self._changed = threading.Condition()
        self._awaited = 0
        self._waiting_messages = 0
        self._waiting_bytes = 0
        self._sent = 0
        self._failed = 0
        self._first_failure: BaseException | None = None
        self._closed = False
        outage_ms = round(outage_limit.total_seconds() * 1000)
        linger_ms = round(linger.total_seconds() * 1000)
        connect_ms = round(connect_limit.total_seconds() * 1000)
        with translated(f"kafka at {bootstrap} did not answer within {connect_limit.total_seconds():g} s"):
            self._producer = connected(
                KafkaProducer,
                bootstrap,
                limit=connect_limit,
                client_id="tidemill-publisher",
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                delivery_timeout_ms=outage_ms,
                # within the outage limit there must be time for an answer that never comes, and for another try
                request_timeout_ms=max(1, min(30_000, (outage_ms - linger_ms) // 2)),
                max_block_ms=connect_ms,
                linger_ms=linger_ms,
                batch_size=512 * 1024,
                max_request_size=MAX_MESSAGE_BYTES,
                reconnect_backoff_max_ms=1000,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        try:
            with translated(f"topic {topic!r} is not there (create it with `tidemill topics create`)"):
                self._producer.partitions_for(topic)
        except TryAgain:
            self._producer.close(timeout=0)
            raise

    @property
    def acknowledged(self) -> int:
        """Messages that the broker has confirmed."""
        with self._changed:
            return self._sent

    def publish(self, batch: pa.RecordBatch, encoding: Encoding) -> None:
        """Send readings (READING_SCHEMA) of any machines in order: a message each (`json`) or one a machine (others).

        Returns before they are acknowledged; waits while the buffer is full. Raises TryAgain, and InvalidInput for a
        message longer than the topic takes.
        """
        if encoding == "json":
            for machine_id, value in zip(batch.column("machine_id").to_pylist(), encode_readings(batch), strict=True):
                self._send(machine_id.encode(), value)
            return
        encode = ENCODERS[encoding]
        for machine_id, rows in by_machine(batch):
            self._send(machine_id.encode(), encode(rows))

    def publish_raw(self, key: bytes | None, value: bytes) -> None:
        """Send bytes as they are: broken messages, for trying out what the stream does with them."""
        self._send(key, value)

    def flush(self, timeout: timedelta = timedelta(seconds=120)) -> None:
        """Wait until everything sent is acknowledged. Raises TryAgain where a message failed or `timeout` is over."""
        deadline = time.monotonic() + timeout.total_seconds()
        with self._changed:
            while self._waiting_messages and self._first_failure is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TryAgain(
                        f"waited {timeout.total_seconds():g} s for kafka at {self._bootstrap} to acknowledge "
                        f"{self._waiting_messages} messages"
                    )
                self._wait(left)
            self._check()

    def close(self, limit: timedelta = timedelta(seconds=30)) -> None:
        """Flush and disconnect; disconnects even when the flush raises. Closing twice is closing once."""
        if self._closed:
            return
        self._closed = True
        delivered = False
        try:
            self.flush(limit)
            delivered = True
        finally:
            try:
                self._producer.close(timeout=5 if delivered else 0)
            except KafkaError:
                pass  # it flushes again, in vain; what was lost has been told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except TryAgain as second:
            error.add_note(f"closing the publisher failed too: {second}")

    def _send(self, key: bytes | None, value: bytes) -> None:
        size = len(value) + (len(key) if key else 0)
        with self._changed:
            self._await_room(size)
            self._waiting_messages += 1
            self._waiting_bytes += size
        try:
            future = self._producer.send(self._topic, key=key, value=value)
        except BaseException as error:
            self._done(size, error, count=False)
            if isinstance(error, MessageSizeTooLargeError):
                raise InvalidInput(
                    f"a message of {size} bytes is longer than the topic takes ({MAX_MESSAGE_BYTES}); "
                    "send fewer readings a message"
                ) from error
            if isinstance(error, KafkaError):
                raise TryAgain(f"kafka at {self._bootstrap} took no message: {error}") from error
            raise
        future.add_callback(self._delivered, size)
        future.add_errback(self._undelivered, size)

    def _await_room(self, size: int) -> None:
        deadline = time.monotonic() + self._outage_limit.total_seconds()
        self._check()
        # one message longer than the whole buffer still goes, alone
        while self._waiting_messages and self._waiting_bytes + size > self._buffer_bytes:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TryAgain(
                    f"waited {self._outage_limit.total_seconds():g} s for kafka at {self._bootstrap} to take "
                    f"{self._waiting_messages} messages that wait"
                )
            self._wait(left)
            self._check()

    def _wait(self, seconds: float) -> None:
        self._awaited += 1
        try:
            self._changed.wait(seconds)
        finally:
            self._awaited -= 1

    def _check(self) -> None:
        if self._first_failure is not None:
            raise TryAgain(
                f"{self._failed} of {self._failed + self._sent} messages were not delivered to {self._topic} at "
                f"{self._bootstrap}; the first failed with: {self._first_failure}"
            ) from self._first_failure

    # The two below are called by kafka-python's sender thread.
    def _delivered(self, size: int, _: Any) -> None:
        self._done(size, None)

    def _undelivered(self, size: int, error: BaseException) -> None:
        self._done(size, error)

    def _done(self, size: int, error: BaseException | None, *, count: bool = True) -> None:
        with self._changed:
            self._waiting_messages -= 1
            self._waiting_bytes -= size
            if error is None:
                self._sent += 1
            elif count:
                self._failed += 1
                self._first_failure = self._first_failure or error
            if self._awaited or error is not None:
                self._changed.notify_all()
