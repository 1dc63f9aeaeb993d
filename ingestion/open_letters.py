"""How many dead letters wait for somebody: each once, however often it was written or its reading sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Protocol

from ingestion.counted_letters import CountedLetters, LetterId
from ingestion.letter import Letter
from ingestion.letter_desk import Decision
from ingestion.same_reading import Doubles


class KeptLetters(Protocol):
    """The dead-letter topic, as far as it is needed here."""

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """By partition, the first offset that is kept and the next to be written. Raises TryAgain."""

    def between(self, partition: int, begin: int, end: int) -> Iterator[Letter]: ...


class OpenLetters:
    """Counts again and again, and reads each letter once. One thread at a time."""

    def __init__(self, *, at_most: int = 20_000, patience: timedelta = timedelta(seconds=3)) -> None:
        """How many letters one count reads of a partition, and how long; those left are taken for single ones."""
        self._at_most = at_most
        self._patience = patience.total_seconds()
        self._read: dict[int, int] = {}
        self._seen = Doubles()
        self._doubles = CountedLetters()

    def count(
        self, topic: KeptLetters, decisions: Mapping[LetterId, Decision], counted: Callable[[], CountedLetters]
    ) -> int:
        """Letters kept that were not met again by the stream, nor discarded, nor are doubles. Raises TryAgain."""
        bounds, began = topic.bounds(), time.monotonic()
        for partition, (begin, end) in bounds.items():
            first = max(begin, self._read.get(partition, 0))
            for letter in topic.between(partition, first, min(end, first + self._at_most)):
                if self._seen.is_double(letter):
                    self._doubles.add(letter.id)
                self._read[partition] = letter.id.offset + 1
                if time.monotonic() - began > self._patience:
                    break
        done = CountedLetters()
        done.merge(counted())
        done.merge(self._doubles)
        for letter_id, decision in decisions.items():
            if decision.action == "discard":
                done.add(letter_id)
        return sum(end - begin - done.within(partition, begin, end) for partition, (begin, end) in bounds.items())
