"""Which fetches are taken: those that go on where their partition was read up to, whatever moved meanwhile."""

from __future__ import annotations

import asyncio

from faust.types import TP

from ingestion.stream.record_batches import Fetched
from ingestion.stream.transport import BatchConsumer

WHERE = TP("readings", 0)


class Consumer(BatchConsumer):
    """Only what admission needs of it; its seeks are written down."""

    def __init__(self, position: int) -> None:
        self._asking = asyncio.Lock()
        self._epoch = 0
        self._asked = {WHERE: position}
        self._doubted: dict[TP, int] = {}
        self.sought: list[int] = []

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought.append(offset)

    def admit(self, *fetches: tuple[int, int], epoch: int = 0, where: TP = WHERE) -> list[tuple[int, int]]:
        """Fetches as (offset, next offset); of those that are taken, where they go on and what follows."""
        found = {where: [Fetched(b"", offset, next_offset) for offset, next_offset in fetches]}
        admitted = asyncio.run(self._admitted(found, epoch))
        return [(follows, fetch.next_offset) for _, follows, fetch in admitted]


def test_fetches_follow_each_other() -> None:
    consumer = Consumer(10)
    assert consumer.admit((10, 20), (20, 25)) == [(10, 20), (20, 25)]
    assert consumer.admit((25, 30)) == [(25, 30)]
    assert consumer.sought == []


def test_what_was_read_before_is_taken_and_moves_nothing_back() -> None:
    consumer = Consumer(10)
    assert consumer.admit((0, 5), (5, 12)) == [(10, 5), (10, 12)]
    assert consumer.admit((12, 13)) == [(12, 13)]


def test_a_gap_is_asked_for_again_and_believed_the_second_time() -> None:
    consumer = Consumer(10)
    assert consumer.admit((15, 20)) == []
    assert consumer.sought == [10]
    # what was deleted by the topic's retention does not come: it goes on where there is something
    assert consumer.admit((15, 20)) == [(10, 20)]
    assert consumer.admit((20, 21)) == [(20, 21)]
    assert consumer.sought == [10]


def test_a_gap_that_was_none_leaves_no_doubt_about_the_next() -> None:
    consumer = Consumer(10)
    assert consumer.admit((15, 20)) == []
    assert consumer.admit((10, 15), (15, 20)) == [(10, 15), (15, 20)]
    assert consumer.admit((30, 40)) == []
    assert consumer.sought == [10, 20]


def test_what_was_fetched_while_partitions_moved_is_asked_for_again() -> None:
    consumer = Consumer(10)
    consumer._epoch = 1
    assert consumer.admit((10, 20), epoch=0) == []
    assert consumer.sought == [10]
    assert consumer.admit((10, 20), epoch=1) == [(10, 20)]


def test_other_partitions_are_passed_over() -> None:
    consumer = Consumer(10)
    assert consumer.admit((0, 5), where=TP("readings", 1)) == []
    assert consumer.sought == []
