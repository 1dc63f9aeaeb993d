"""Readings that go on arriving while everything else is killed: in disorder, repeated, late, corrected, broken."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch

ORIGIN = datetime(2026, 3, 1, 23, 55, tzinfo=UTC)  # across midnight: rows of two dates
MACHINES = 16
QUANTITIES = ("flow", "vibration", "current")
DELAYS = (*([0] * 30), 1, 2, 4, 12, 20, 30, 90)
"""Seconds that a reading comes after its time: most in time, some in disorder, some to correct, some too late."""


class Sent(NamedTuple):
    """One message. `readings` is how many the stream has to account for; one if it is broken."""

    key: bytes
    value: bytes
    readings: int


def tick(number: int, random_: random.Random) -> Iterator[Sent]:
    """What all machines send in one second of event time: half of them a message a reading, half of them batches."""
    for machine in range(MACHINES):
        machine_id = f"pump-{machine}"
        rows = [
            Reading(
                machine_id=machine_id,
                sensor_id=f"{machine_id}/{quantity}",
                event_time=ORIGIN + timedelta(seconds=number - random_.choice(DELAYS)),
                value=random_.gauss(50.0, 5.0),
                unit="bar",
                sequence=number,
            )
            for quantity in QUANTITIES
        ]
        key = machine_id.encode()
        good = (
            [Sent(key, encode_batch(to_record_batch(rows)), len(rows))]
            if machine % 2
            else [Sent(key, encode_reading(row), 1) for row in rows]
        )
        for sent in good:
            yield sent
            if random_.random() < 0.02:
                yield sent  # sent again
            if random_.random() < 0.01:
                yield Sent(key, random_.choice([b"{", b"\xff\xff\xff\xff123", sent.value[:40], b'{"a":"\xff"}']), 1)


def closing() -> Iterator[Sent]:
    """A last reading of each machine, long after all others: every window before it closes and is settled."""
    for machine in range(MACHINES):
        last = Reading(
            machine_id=f"pump-{machine}",
            sensor_id=f"pump-{machine}/flow",
            event_time=ORIGIN + timedelta(days=20),
            value=0.0,
        )
        yield Sent(last.machine_id.encode(), encode_reading(last), 1)


@dataclass
class Feed:
    """A thread that publishes `pace` ticks a second, acknowledged by the broker and each once, until it is stopped.

    messages, readings  what the broker has accepted; exact after `stop`
    """

    bootstrap: str
    topic: str
    seed: int
    pace: float = 10.0
    messages: int = 0
    readings: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=300)

    def stop(self) -> None:
        """Close all windows and return once the broker has confirmed everything. Raises what the thread met."""
        self._stop.set()
        self._thread.join(timeout=300)
        assert not self._thread.is_alive(), "the broker did not take the last readings within 300 s"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with KafkaReadingPublisher(self.bootstrap, self.topic) as publisher:
                random_ = random.Random(self.seed)
                number, began = 0, time.monotonic()
                while not self._stop.wait(max(0.0, began + number / self.pace - time.monotonic())):
                    self._publish(publisher, tick(number, random_))
                    number += 1
                self._publish(publisher, closing())
                publisher.flush()
                assert publisher.acknowledged == self.messages
        except BaseException as error:
            self._failure = error

    def _publish(self, publisher: KafkaReadingPublisher, messages: Iterator[Sent]) -> None:
        for sent in messages:
            publisher.publish_raw(sent.key, sent.value)
            self.messages += 1
            self.readings += sent.readings
