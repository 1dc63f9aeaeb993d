from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ingestion.counted_letters import CountedLetters, LetterId
from ingestion.letter import Letter
from ingestion.letter_desk import Decision
from ingestion.open_letters import OpenLetters

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Kept:
    """A dead-letter topic of one partition, whose first letters may be gone."""

    letters: list[Letter] = field(default_factory=list)
    begin: int = 0
    reads: int = 0

    def add(self, origin: int, value: bytes = b"{") -> None:
        self.letters.append(
            Letter(
                id=LetterId(0, len(self.letters)),
                stored_at=NOW,
                reason="bad_json",
                detail="",
                origin=("readings", 0, origin),
                key=b"m",
                value=value,
            )
        )

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        return {0: (self.begin, len(self.letters))}

    def between(self, partition: int, begin: int, end: int) -> Iterator[Letter]:
        for letter in self.letters[begin:end]:
            self.reads += 1
            yield letter


def discarded(offset: int) -> tuple[LetterId, Decision]:
    letter = LetterId(0, offset)
    return letter, Decision(letter=letter, action="discard", by="me", why=None, decided_at=NOW)


def test_each_letter_is_counted_once_and_read_once() -> None:
    kept, open_, met = Kept(), OpenLetters(at_most=3), CountedLetters()
    reading = b'{"machine_id":"m","sensor_id":"m/a","event_time":"2026-03-01T00:00:00Z","value":"x","sequence":4}'
    for origin, value in ((1, b"{"), (2, b"{"), (1, b"{"), (3, b"{"), (4, reading), (5, reading), (5, reading)):
        kept.add(origin, value)

    def count(decisions: Mapping[LetterId, Decision] = {}) -> int:
        return open_.count(kept, decisions, lambda: met)

    assert count() == 6, "three are read: of them one is a double, the others are not known yet"
    count()
    assert count() == 4, "1, 2, 3 and the reading that was sent twice and written three times"
    assert kept.reads == 7
    met.add(LetterId(0, 0))
    assert count(dict([discarded(1), discarded(2)])) == 2, "a double that was discarded is not taken off twice"
    kept.begin = 4
    assert count() == 1
    assert kept.reads == 7
