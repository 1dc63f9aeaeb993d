"""What every DeadLetterQueue promises: each letter once, whoever puts it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ingestion.intake import DeadLetter
from ingestion.kafka.dead_letters import KafkaDeadLetterQueue
from ingestion.ports import DeadLetterQueue
from ingestion.records import Message
from tests.contract.streams import MemoryLetters, Store
from tests.stream_process import StreamStack

Told = list[tuple[int, int, str]]


def letter(
    offset: int, reason: str = "bad_json", *, partition: int = 0, rows: tuple[int, ...] | None = None
) -> DeadLetter:
    message = Message(offset, 1_700_000_000_000, b"key", b"value %d" % offset)
    return DeadLetter(partition=partition, message=message, reason=reason, detail="why", rows=rows)


class DeadLetterQueueContract:
    """Fixtures give `queue` (a new worker's queue) and `stored` (partition, origin offset, reason; in order)."""

    def test_letters_are_stored_in_order(
        self, queue: Callable[[], DeadLetterQueue], stored: Callable[[], Told]
    ) -> None:
        mine = queue()
        mine.restore(0)
        mine.restore(1)
        mine.put([letter(3), letter(5), letter(4, partition=1)])
        mine.put([letter(9)])
        mine.put([])
        assert stored() == [(0, 3, "bad_json"), (0, 5, "bad_json"), (0, 9, "bad_json"), (1, 4, "bad_json")]

    def test_a_successor_does_not_repeat_them(
        self, queue: Callable[[], DeadLetterQueue], stored: Callable[[], Told]
    ) -> None:
        first = queue()
        first.restore(0)
        first.put([letter(3), letter(5, "bad_id", rows=(1,))])
        successor = queue()
        successor.restore(0)
        again = [letter(3), letter(5, "bad_id", rows=(1,)), letter(5, "not_finite", rows=(2, 4)), letter(8)]
        successor.put(again)
        successor.put(again)
        assert stored() == [(0, 3, "bad_json"), (0, 5, "bad_id"), (0, 5, "not_finite"), (0, 8, "bad_json")]


class TestMemoryLetters(DeadLetterQueueContract):
    @pytest.fixture
    def store(self) -> Store:
        return Store()

    @pytest.fixture
    def queue(self, store: Store) -> Callable[[], DeadLetterQueue]:
        return lambda: MemoryLetters(store)

    @pytest.fixture
    def stored(self, store: Store) -> Callable[[], Told]:
        return lambda: sorted((p, offset, held.reason) for p, offset, _, held in store.letters)


@pytest.mark.stack
class TestKafkaDeadLetterQueue(DeadLetterQueueContract):
    @pytest.fixture
    def stack(self, kafka_bootstrap: str, tmp_path: Path) -> StreamStack:
        made = StreamStack(bootstrap=kafka_bootstrap, home=tmp_path, topic=f"letters-{uuid4().hex[:8]}", partitions=2)
        made.create_topics()
        return made

    @pytest.fixture
    def queue(self, stack: StreamStack) -> Iterator[Callable[[], KafkaDeadLetterQueue]]:
        made: list[KafkaDeadLetterQueue] = []

        def make(longest: int = 1000) -> KafkaDeadLetterQueue:
            made.append(
                KafkaDeadLetterQueue(stack.bootstrap, f"{stack.topic}-dead-letters", stack.topic, longest=longest)
            )
            return made[-1]

        yield make
        for one in made:
            one.close()

    @pytest.fixture
    def stored(self, stack: StreamStack) -> Callable[[], Told]:
        return lambda: [(x["partition"], int(x["origin-offset"]), x["reason"]) for x in stack.dead_letters()]

    def test_a_letter_tells_all(self, queue: Callable[..., KafkaDeadLetterQueue], stack: StreamStack) -> None:
        mine = queue()
        mine.restore(1)
        mine.put([letter(7, "not_finite", partition=1, rows=(0, 3))])
        assert stack.dead_letters() == [
            {
                "partition": 1,
                "key": b"key",
                "value": b"value 7",
                "reason": "not_finite",
                "detail": "why",
                "origin-topic": stack.topic,
                "origin-partition": "1",
                "origin-offset": "7",
                "origin-timestamp": "1700000000000",
                "part": "0",
                "rows": "0,3",
            }
        ]

    def test_a_value_too_long_is_cut_and_says_so(
        self, queue: Callable[..., KafkaDeadLetterQueue], stack: StreamStack
    ) -> None:
        mine = queue(longest=3)
        mine.restore(0)
        mine.put([letter(7)])
        (found,) = stack.dead_letters()
        assert found["value"] == b"val"
        assert found["original-size"] == "7"
        assert found["original-sha256"] == hashlib.sha256(b"value 7").hexdigest()

    def test_messages_of_nothing(self, queue: Callable[..., KafkaDeadLetterQueue], stack: StreamStack) -> None:
        mine = queue()
        mine.restore(0)
        for message in (Message(1, 0, b"key", None), Message(2, 0, None, None), Message(3, 0, None, b"")):
            mine.put([DeadLetter(partition=0, message=message, reason="empty_message", detail="why")])
        found = stack.dead_letters()
        assert [(letter["key"], letter["value"]) for letter in found] == [(b"key", None), (None, b""), (None, b"")]
        assert [letter.get("original-value") for letter in found] == [None, "null", None]
