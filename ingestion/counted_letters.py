"""Which dead letters a partition has met again: a replayed message names its letter, and the stream takes each once.

The set is part of the partition's state, so it is committed with the position and the rows: a letter that is published
twice, by whoever was killed in between, counts once. It is kept as ranges of offsets, and costs nothing while no
letter was ever replayed.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ingestion.checkpoint import annotated, annotation
from ingestion.records import Records

REPLAY_OF = "replay-of"
"""Header of a replayed message: `<dead-letter topic>/<partition>/<offset>`."""

_ANNOTATION = "counted_letters"


class LetterId(NamedTuple):
    """Where a letter lies in the dead-letter topic; written `2/17`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


def replay_header(topic: str, letter: LetterId) -> tuple[str, bytes]:
    return REPLAY_OF, f"{topic}/{letter}".encode()


def letter_of(headers: Sequence[tuple[str, bytes]], topic: str) -> LetterId | None:
    """The letter of `topic` that a message replays; None for an ordinary message, or one that names another topic's."""
    for name, held in headers:
        if name == REPLAY_OF:
            before, _, place = held.decode(errors="replace").partition("/")
            partition, _, offset = place.partition("/")
            if before == topic and partition.isdecimal() and offset.isdecimal():
                return LetterId(int(partition), int(offset))
    return None


class CountedLetters:
    """A set of letters, as ranges of offsets by partition of the dead-letter topic."""

    def __init__(self) -> None:
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}  # exclusive

    @classmethod
    def held_by(cls, state: bytes) -> CountedLetters:
        """What a checkpoint's state holds of them; empty where it was written before there was any."""
        found = cls()
        for partition, ranges in json.loads(annotation(state, _ANNOTATION) or "{}").items():
            found._starts[int(partition)] = [start for start, _ in ranges]
            found._ends[int(partition)] = [end for _, end in ranges]
        return found

    def written_into(self, state: bytes) -> bytes:
        """The state with this set in it; the very same bytes while it is empty."""
        if not self._starts:
            return state
        ranges = {str(partition): self.ranges(partition) for partition in sorted(self._starts)}
        return annotated(state, _ANNOTATION, json.dumps(ranges))

    def ranges(self, partition: int) -> list[tuple[int, int]]:
        """Half-open, in order, apart from each other."""
        return list(zip(self._starts.get(partition, ()), self._ends.get(partition, ()), strict=True))

    def __contains__(self, letter: LetterId) -> bool:
        at = bisect_right(self._starts.get(letter.partition, []), letter.offset) - 1
        return at >= 0 and letter.offset < self._ends[letter.partition][at]

    def add(self, letter: LetterId) -> bool:
        """False where it was in the set before."""
        if letter in self:
            return False
        starts, ends = self._starts.setdefault(letter.partition, []), self._ends.setdefault(letter.partition, [])
        at = bisect_right(starts, letter.offset)
        joins_left = at > 0 and ends[at - 1] == letter.offset
        joins_right = at < len(starts) and starts[at] == letter.offset + 1
        if joins_left and joins_right:
            ends[at - 1] = ends.pop(at)
            starts.pop(at)
        elif joins_left:
            ends[at - 1] += 1
        elif joins_right:
            starts[at] -= 1
        else:
            starts.insert(at, letter.offset)
            ends.insert(at, letter.offset + 1)
        return True

    def within(self, partition: int, begin: int, end: int) -> int:
        """How many letters of a partition are in the set, of offsets from `begin` up to but not `end`."""
        return sum(max(0, min(end, last) - max(begin, first)) for first, last in self.ranges(partition))

    def merge(self, other: CountedLetters) -> None:
        for partition, starts in other._starts.items():
            for start, end in zip(starts, other._ends[partition], strict=True):
                for offset in range(start, end):
                    self.add(LetterId(partition, offset))

    def pick(self, records: Records, topic: str) -> Records:
        """The records without the replays of letters that are in the set; those that are picked are in it afterwards.

        topic  the dead-letter topic
        """
        again = []
        for place, headers in sorted(records.headers.items()):
            letter = letter_of(headers, topic)
            if letter is not None and not self.add(letter):
                again.append(place)
        return records if not again else records.at(np.delete(np.arange(len(records)), again))
