"""Which dead letters a partition has met again: a replayed message names its letter, and the stream takes each once.

The set is part of the partition's state, so it is committed with the position and the rows: a letter that is published
twice, by whoever was killed in between, counts once. It is kept as ranges of offsets, and costs nothing while no
letter was ever replayed.

A stream meets the letters of its topic, which every stream on it had refused, and its own. The letters of another
stream are passed over: that one alone had refused them, and the others have counted their readings.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ingestion.checkpoint import annotated, annotation
from ingestion.letter_topics import are_of_a_stream
from ingestion.records import Records
from ingestion.settings import TopicSettings

REPLAY_OF = "replay-of"
"""Header of a replayed message: `<dead-letter topic>/<partition>/<offset>`."""

_SHARED, _OWN = "counted_letters", "counted_own_letters"


class LetterId(NamedTuple):
    """Where a letter lies in the dead-letter topic; written `2/17`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


def replay_header(topic: str, letter: LetterId) -> tuple[str, bytes]:
    return REPLAY_OF, f"{topic}/{letter}".encode()


def replayed_letter(headers: Sequence[tuple[str, bytes]]) -> tuple[str, LetterId] | None:
    """The dead-letter topic and the letter that a message replays; None for an ordinary message."""
    for name, held in headers:
        if name == REPLAY_OF:
            topic, _, place = held.decode(errors="replace").partition("/")
            partition, _, offset = place.partition("/")
            if partition.isdecimal() and offset.isdecimal():
                return topic, LetterId(int(partition), int(offset))
    return None


class CountedLetters:
    """A set of letters, as ranges of offsets by partition of the dead-letter topic."""

    def __init__(self) -> None:
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}  # exclusive

    @classmethod
    def held_by(cls, state: bytes, *, own: bool = False) -> CountedLetters:
        """What a checkpoint's state holds of them; empty where it was written before there was any.

        own  those of the stream's own letters, not of its topic's
        """
        found = cls()
        for partition, ranges in json.loads(annotation(state, _OWN if own else _SHARED) or "{}").items():
            found._starts[int(partition)] = [start for start, _ in ranges]
            found._ends[int(partition)] = [end for _, end in ranges]
        return found

    def written_into(self, state: bytes, *, own: bool = False) -> bytes:
        """The state with this set in it; the very same bytes while it is empty."""
        if not self._starts:
            return state
        ranges = {str(partition): self.ranges(partition) for partition in sorted(self._starts)}
        return annotated(state, _OWN if own else _SHARED, json.dumps(ranges))

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

    def in_both(self, other: CountedLetters) -> CountedLetters:
        found = CountedLetters()
        for partition, starts in self._starts.items():
            for start, end in zip(starts, self._ends[partition], strict=True):
                for offset in range(start, end):
                    if (letter := LetterId(partition, offset)) in other:
                        found.add(letter)
        return found


class MetLetters:
    """The letters that a partition of a stream has met, and what is to be folded because of them."""

    def __init__(self, topics: TopicSettings, state: bytes | None = None) -> None:
        """`state` is that of the partition's checkpoint."""
        self._topics = topics
        self.shared = CountedLetters() if state is None else CountedLetters.held_by(state)
        self._own = CountedLetters() if state is None else CountedLetters.held_by(state, own=True)

    def written_into(self, state: bytes) -> bytes:
        """The state with what was met in it; the very same bytes while nothing was."""
        return self._own.written_into(self.shared.written_into(state), own=True)

    def pick(self, records: Records) -> Records:
        """The records without replays of letters that were met, or are another stream's; those picked are met."""
        again = [place for place, headers in sorted(records.headers.items()) if not self._is_taken(headers)]
        return records if not again else records.at(np.delete(np.arange(len(records)), again))

    def _is_taken(self, headers: Sequence[tuple[str, bytes]]) -> bool:
        found = replayed_letter(headers)
        if found is None:
            return True
        topic, letter = found
        if topic == self._topics.dead_letters:
            return self.shared.add(letter)
        if topic == self._topics.own_letters:
            return self._own.add(letter)
        return not are_of_a_stream(topic, self._topics.readings)
