"""kill -9 of the stream worker while it works: lake and dead letters equal an undisturbed run's, row for row."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import uuid4

import pytest

from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.stream_process import StreamStack

pytestmark = [pytest.mark.stack, pytest.mark.fault]

LIVES = 20
ORIGIN = datetime(2026, 3, 1, 23, 55, tzinfo=UTC)  # across midnight: rows of two dates
Messages = list[tuple[bytes | None, bytes]]


def messages(seed: int) -> Messages:
    """Ten minutes of six machines: in disorder, repeated, late, broken; then readings that close all windows."""
    random_ = random.Random(seed)
    found: Messages = []
    for tick in range(600):
        for machine in range(6):
            machine_id = f"pump-{machine}"
            rows = [
                Reading(
                    machine_id=machine_id,
                    sensor_id=f"{machine_id}/{quantity}",
                    event_time=ORIGIN + timedelta(seconds=tick - delay(random_)),
                    value=random_.gauss(50.0, 5.0),
                    unit="bar",
                    sequence=tick,
                )
                for quantity in ("flow", "vibration", "current")
            ]
            key = machine_id.encode()
            values = [encode_batch(to_record_batch(rows))] if machine % 2 else [encode_reading(row) for row in rows]
            for value in values:
                found.append((key, value))
                if random_.random() < 0.02:
                    found.append((key, value))  # sent again
                if random_.random() < 0.01:
                    found.append((key, random_.choice([b"{", b"\xff\xff\xff\xff123", value[:40], b'{"a":"\xff"}'])))
    for machine in range(6):
        machine_id = f"pump-{machine}"
        last = Reading(
            machine_id=machine_id, sensor_id=f"{machine_id}/flow", event_time=ORIGIN + timedelta(hours=1), value=0.0
        )
        found.append((machine_id.encode(), encode_reading(last)))
    return found


def delay(random_: random.Random) -> int:
    return random_.choice([0] * 20 + [1, 2, 4, 30, 90])


def stack(kafka_bootstrap: str, home: Path, name: str) -> StreamStack:
    made = StreamStack(bootstrap=kafka_bootstrap, home=home / name, topic=f"kill-{name}-{uuid4().hex[:8]}")
    made.create_topics()
    return made


@pytest.mark.timeout(420)
def test_twenty_kills_change_nothing(kafka_bootstrap: str, tmp_path: Path) -> None:
    sent = messages(seed=7)
    calm, disturbed = (stack(kafka_bootstrap, tmp_path, name) for name in ("calm", "disturbed"))
    try:
        publish(calm, sent)
        calm.wait_ready(calm.start())
        calm.wait_committed()
        calm.close()

        commits = kill_while_it_works(disturbed, sent, random.Random(11))
        disturbed.wait_ready(disturbed.start())
        progress = disturbed.wait_committed()

        assert len(set(commits)) >= LIVES // 5, f"the kills met a worker that had not begun: {commits}"
        windows = calm.windows()
        assert len(windows) > 1000
        assert disturbed.windows() == windows
        late = calm.late()
        assert len(late) > 100
        assert disturbed.late() == late
        letters = [told(letter) for letter in calm.dead_letters()]
        assert len(letters) > 20
        assert [told(letter) for letter in disturbed.dead_letters()] == letters
        assert {p: held.counters for p, held in progress.items()} == {
            p: held.counters for p, held in calm.progress().items()
        }
        assert sum(held.counters.windows for held in progress.values()) == len(windows)
        assert sum(held.counters.duplicates for held in progress.values()) > 50
    finally:
        calm.close()
        disturbed.close()


def kill_while_it_works(disturbed: StreamStack, sent: Messages, random_: random.Random) -> list[int]:
    """Twenty lives, each with its share of the messages; returns how far the lake was at each death."""
    reached = []
    share = len(sent) // LIVES + 1
    with KafkaReadingPublisher(disturbed.bootstrap, disturbed.topic) as publisher:
        for life in range(LIVES):
            mine = iter(sent[life * share : (life + 1) * share])
            began = time.monotonic()
            worker = disturbed.start()
            send(publisher, islice(mine, share // 2))
            if life % 5 == 4:
                time.sleep(random_.uniform(0.2, 1.5))  # dies while it starts
            else:
                disturbed.wait_ready(worker)
                send(publisher, islice(mine, share // 4))
                # by the measure of its start: a busy machine is slow; and long enough for a quick one to commit
                time.sleep(random_.uniform(0.0, 0.9) * max(2.5, time.monotonic() - began))
            disturbed.kill(worker)
            send(publisher, mine)
            reached.append(sum(held.next_offset for held in disturbed.progress().values()))
    return reached


def publish(to: StreamStack, sent: Messages) -> None:
    with KafkaReadingPublisher(to.bootstrap, to.topic) as publisher:
        send(publisher, sent)


def send(publisher: KafkaReadingPublisher, sent: Iterable[tuple[bytes | None, bytes]]) -> None:
    for key, value in sent:
        publisher.publish_raw(key, value)
    publisher.flush()


def told(letter: dict[str, object]) -> dict[str, object]:
    """What must be equal: all but the name of the topic and the time at which the broker took the message."""
    return {name: held for name, held in letter.items() if name not in ("origin-topic", "origin-timestamp")}
