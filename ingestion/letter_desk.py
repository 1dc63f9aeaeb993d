"""What people do with dead letters: look, replay after a fix, discard. Each letter's fate is decided once.

1. The decision is stored, durably, before anything is published: what is replayed, where to, or why it is discarded.
2. The message is published to the partition that the decision names, with the letter's name in a header.
3. The stream takes each letter once (`counted_letters`), in the commit that holds its readings.

Cut anywhere, the same command again goes on: a stored decision is carried out as it stands, and a message that was
published already is passed over by the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from ingestion.counted_letters import CountedLetters, LetterId
from ingestion.errors import InvalidInput
from ingestion.letter import Letter, Refused, replayed_value

LetterState = Literal["open", "replaying", "replayed", "discarded", "double"]
"""`replaying`: decided, and not met by the stream yet. `replayed`: met: counted, or refused as a new letter. `double`:
nothing was decided, and an earlier letter is of the same readings: two workers had the partition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is to become of a letter, and who said so.

    partition  of the readings topic, and key and patch of the message: of a replay
    """

    letter: LetterId
    action: Literal["replay", "discard"]
    by: str
    why: str | None
    decided_at: datetime
    partition: int | None = None
    key: bytes | None = None
    patch: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LetterCase:
    """A letter, and how it stands."""

    letter: Letter
    state: LetterState
    decision: Decision | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What came of a replay: the letters published now, and those passed over with the reason."""

    letters: Sequence[LetterId]
    passed_over: Mapping[LetterId, str]


class LetterTopic(Protocol):
    def each(self, partition: int | None = None) -> Iterator[Letter]: ...
    def these(self, wanted: Collection[LetterId]) -> Iterator[Letter]: ...
    def partition_of(self, key: bytes) -> int: ...
    def publish(self, letter: LetterId, partition: int, key: bytes | None, value: bytes) -> None: ...
    def flush(self) -> None: ...


class Decisions(Protocol):
    def known(self) -> Mapping[LetterId, Decision]:
        """Every decision, as of now."""

    def add(self, decisions: Sequence[Decision]) -> None:
        """Store them, all or none, if nothing was added since `known`. Raises TryAgain otherwise."""


class LetterDesk:
    """Letters, decisions and what the stream has counted, joined. One thread at a time; any number of processes."""

    def __init__(
        self,
        topic: LetterTopic,
        decisions: Decisions,
        counted: Callable[[], CountedLetters],
        *,
        now: Callable[[], datetime],
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`step` is told what was just done: `decided`, `published` (each message), `flushed`."""
        self._topic = topic
        self._decisions = decisions
        self._counted = counted
        self._now = now
        self._step = step

    def cases(self, partition: int | None = None) -> Iterator[LetterCase]:
        """Every letter that the topic keeps, by partition and offset."""
        known, counted = self._decisions.known(), self._counted()
        met: set[Refused] = set()
        for letter in self._topic.each(partition):
            case = _case(letter, known.get(letter.id), counted)
            yield replace(case, state="double") if case.state == "open" and letter.refused in met else case
            met.add(letter.refused)

    def case(self, wanted: LetterId) -> LetterCase:
        """Raises InvalidInput where there is no such letter."""
        (letter,) = self._topic.these([wanted])
        return _case(letter, self._decisions.known().get(wanted), self._counted())

    def replay(
        self,
        wanted: Sequence[LetterId],
        *,
        by: str,
        why: str | None = None,
        key: bytes | None = None,
        patch: Mapping[str, Any] | None = None,
        passes_over: bool = False,
    ) -> Replayed:
        """Publish what these letters hold, but for those that the stream has counted before.

        key, patch  take the place of the message's key, and are merged into its reading (RFC 7396)

        passes_over  leave out letters that hold nothing that could be replayed

        Raises InvalidInput, with nothing decided or published, for a letter that was discarded, or decided otherwise,
        or, unless it is to be passed over, holds nothing that could be replayed.
        """
        known, counted = self._decisions.known(), self._counted()
        text = None if patch is None else json.dumps(patch, sort_keys=True)
        passed_over = {letter_id: "counted before" for letter_id in wanted if letter_id in counted}
        due: dict[LetterId, Decision] = {}
        undecided = set()
        for letter_id in wanted:
            decision = known.get(letter_id)
            if letter_id in passed_over:
                continue
            if decision is None:
                undecided.add(letter_id)
            else:
                _check_same(decision, key, text)
                due[letter_id] = decision
        fresh = []
        first: dict[Refused, LetterId] = {}
        for letter in self._topic.these(undecided):
            if (same := first.setdefault(letter.refused, letter.id)) != letter.id:
                passed_over[letter.id] = f"a double of {same}"
                continue
            try:
                replayed_value(letter, patch)
            except InvalidInput as error:
                if not passes_over:
                    raise
                passed_over[letter.id] = str(error)
                continue
            fresh.append(self._decided(letter, by=by, why=why, key=key, patch=text))
        if fresh:
            self._decisions.add(fresh)
        self._step("decided")
        due |= {decision.letter: decision for decision in fresh}
        for letter in self._topic.these(due):
            self._publish(letter, due[letter.id])
            self._step("published")
        self._topic.flush()
        self._step("flushed")
        return Replayed(letters=sorted(due), passed_over=passed_over)

    def discard(self, wanted: Iterable[LetterId], *, by: str, why: str) -> list[LetterId]:
        """Mark these letters as done with; returns those that were open. Raises InvalidInput for a replayed one."""
        known, counted = self._decisions.known(), self._counted()
        undecided = set()
        for letter_id in wanted:
            decision = known.get(letter_id)
            if letter_id in counted or (decision is not None and decision.action == "replay"):
                raise InvalidInput(f"letter {letter_id} was replayed; what was replayed cannot be discarded")
            if decision is None:
                undecided.add(letter_id)
        fresh = [
            Decision(letter=letter.id, action="discard", by=by, why=why, decided_at=self._now())
            for letter in self._topic.these(undecided)
        ]
        if fresh:
            self._decisions.add(fresh)
        self._step("decided")
        return [decision.letter for decision in fresh]

    def _decided(self, letter: Letter, *, by: str, why: str | None, key: bytes | None, patch: str | None) -> Decision:
        # as it was, it goes where it came from; another key may belong elsewhere
        partition = letter.origin[1] if key is None else self._topic.partition_of(key)
        return Decision(
            letter=letter.id,
            action="replay",
            by=by,
            why=why,
            decided_at=self._now(),
            partition=partition,
            key=key,
            patch=patch,
        )

    def _publish(self, letter: Letter, decision: Decision) -> None:
        patch = None if decision.patch is None else json.loads(decision.patch)
        assert decision.partition is not None
        key = letter.key if decision.key is None else decision.key
        self._topic.publish(letter.id, decision.partition, key, replayed_value(letter, patch))


def open_letters(
    bounds: Mapping[int, tuple[int, int]], decisions: Mapping[LetterId, Decision], counted: CountedLetters
) -> int:
    """Letters that the topic keeps and that the stream has not met again, nor anybody discarded, without reading them.

    bounds  by partition, the first offset that is kept and the next to be written
    """
    done = CountedLetters()
    done.merge(counted)
    for letter, decision in decisions.items():
        if decision.action == "discard":
            done.add(letter)
    return sum(end - begin - done.within(partition, begin, end) for partition, (begin, end) in bounds.items())


def _check_same(decision: Decision, key: bytes | None, patch: str | None) -> None:
    who = f"by {decision.by} at {decision.decided_at:%F %T} UTC"
    if decision.action == "discard":
        raise InvalidInput(f"letter {decision.letter} was discarded {who}")
    if (key is not None and key != decision.key) or (patch is not None and patch != decision.patch):
        raise InvalidInput(
            f"letter {decision.letter} is being replayed otherwise (decided {who}); replay it without --key and "
            "--patch to go on with that"
        )


def _case(letter: Letter, decision: Decision | None, counted: CountedLetters) -> LetterCase:
    state: LetterState = "open"
    if letter.id in counted:
        state = "replayed"
    elif decision is not None:
        state = "discarded" if decision.action == "discard" else "replaying"
    return LetterCase(letter=letter, state=state, decision=decision)
