"""A reading that was sent more than once, as a letter and otherwise, on a real broker: replayed, it counts once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.letters import open_letters
from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.letters import counted, tidemill
from tests.stream_process import StreamStack, stream_stack

pytestmark = pytest.mark.stack

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def reading(sequence: int, value: float = 1.0) -> Reading:
    return Reading(
        machine_id="pump",
        sensor_id="pump/flow",
        event_time=NOON + timedelta(seconds=sequence),
        value=value,
        sequence=sequence,
    )


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StreamStack]:
    with stream_stack(kafka_bootstrap, tmp_path, "repeated", partitions=2) as made:
        yield made


def replayed(stack: StreamStack, *arguments: str) -> dict[str, str]:
    done = tidemill(stack, "dlq", "replay", *arguments, "--key", "pump", "--wait", "90")
    return {row["letter"]: row["result"] for row in done}


@pytest.mark.timeout(300)
def test_a_reading_that_was_sent_again_counts_once_through_replays(stack: StreamStack) -> None:
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        for _ in range(3):
            publisher.publish_raw(b"wrong", encode_reading(reading(1)))  # never sent rightly
        publisher.publish_raw(b"wrong", encode_reading(reading(2)))  # and rightly, below
        batch = [reading(3), reading(4)]
        publisher.publish_raw(b"wrong", encode_batch(to_record_batch(batch)))  # one of the two rightly, below
        publisher.publish_raw(b"pump", encode_reading(reading(2)))
        publisher.publish_raw(b"pump", encode_reading(reading(3)))
        # all their windows are closed and forgotten
        publisher.publish_raw(b"pump", encode_reading(reading(10_000)))
    stack.wait_ready(stack.start())
    assert counted(stack.wait_committed()) == 3
    letters = [row["letter"] for row in tidemill(stack, "dlq", "list")]
    assert [row["state"] for row in tidemill(stack, "dlq", "list")] == ["open", "double", "double", "open", "open"]
    still_open = open_letters(stack.settings)
    assert still_open() == 3, "each letter once"

    assert replayed(stack, letters[1]) == {letters[1]: "replayed"}
    for letter in (letters[0], letters[2]):
        (told,) = replayed(stack, letter).values()
        assert "which counts" in told
    (told,) = replayed(stack, letters[3]).values()
    assert "which counts" in told
    assert counted(stack.wait_committed()) == 4
    assert replayed(stack, letters[4]) == {letters[4]: "replayed"}
    assert counted(stack.wait_committed()) == 5, "the row that had not been counted"
    assert replayed(stack, letters[4], letters[1]) == dict.fromkeys([letters[4], letters[1]], "counted before")
    assert counted(stack.wait_committed()) == 5
    assert sum(row["sequence"] == 4 for row in stack.late()) == 1
