"""What people do with dead letters: look, replay after a fix, discard. Each letter's fate is decided once.

1. The decision is stored, durably, before anything is published: what is replayed, where to, or why it is discarded.
2. The message is published to the partition that the decision names, with the letter's name in a header.
3. The stream takes each letter once (`counted_letters`), in the commit that holds its readings.

Before the first, it is looked whether the readings were sent again, or lie in another letter that is replayed.

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
from ingestion.letter import Letter, Refused, replayed_value, rows_of
from ingestion.same_reading import Doubles, Identity, identities
from ingestion.sent_readings import Sent

LetterState = Literal["open", "replaying", "replayed", "discarded", "double"]
"""`replaying`: decided, and not met by the stream yet. `replayed`: met: counted, or refused as a new letter. `double`:
nothing was decided, and an earlier letter is of the same readings: two workers had the partition, or they were sent
twice."""


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
    def these(self, wanted: Collection[LetterId], *, kept_only: bool = False) -> Iterator[Letter]: ...
    def partition_of(self, key: bytes) -> int: ...
    def publish(self, letter: LetterId, partition: int, key: bytes | None, value: bytes) -> None: ...
    def flush(self) -> None: ...


class Elsewhere(Protocol):
    """The readings topic, searched for readings that are to be replayed."""

    def find(self, wanted: Mapping[int, Collection[Identity]]) -> Mapping[Identity, Sequence[Sent]]: ...


class Decisions(Protocol):
    def known(self) -> Mapping[LetterId, Decision]:
        """Every decision, as of now."""

    def add(self, decisions: Sequence[Decision]) -> None:
        """Store them, all or none, if nothing was added since `known`. Raises TryAgain otherwise."""


_Age = tuple[datetime, LetterId]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Replay:
    """A letter, what was decided of it, and what is to be published; `readings` those of the value, row by row."""

    letter: Letter
    decision: Decision
    value: bytes
    readings: Sequence[Identity | None]

    @property
    def age(self) -> _Age:
        return self.decision.decided_at, self.letter.id


class LetterDesk:
    """Letters, decisions and what the stream has counted, joined. One thread at a time; any number of processes."""

    def __init__(
        self,
        topic: LetterTopic,
        decisions: Decisions,
        counted: Callable[[], CountedLetters],
        sent: Elsewhere,
        *,
        now: Callable[[], datetime],
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`step` is told what was just done: `decided`, `published` (each message), `flushed`."""
        self._topic = topic
        self._decisions = decisions
        self._counted = counted
        self._sent = sent
        self._now = now
        self._step = step

    def cases(self, partition: int | None = None) -> Iterator[LetterCase]:
        """Every letter that the topic keeps, by partition and offset."""
        known, counted = self._decisions.known(), self._counted()
        doubles = Doubles()
        for letter in self._topic.each(partition):
            case = _case(letter, known.get(letter.id), counted)
            is_double = doubles.is_double(letter)
            yield replace(case, state="double") if case.state == "open" and is_double else case

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
        """Publish what these letters hold, but for what the stream has counted before, or takes from elsewhere.

        A reading with a sequence number is not replayed where the topic holds it in a message that counts: it was sent
        again, or another letter of it was replayed.

        key, patch  take the place of the message's key, and are merged into its reading (RFC 7396)

        passes_over  leave out letters that hold nothing that could be replayed

        Raises InvalidInput, with nothing decided or published, for a letter that was discarded, or decided otherwise,
        or, unless it is to be passed over, holds nothing that could be replayed.
        """
        known, counted = self._decisions.known(), self._counted()
        text = None if patch is None else json.dumps(patch, sort_keys=True)
        passed_over = {letter_id: "counted before" for letter_id in wanted if letter_id in counted}
        decided: dict[LetterId, Decision] = {}
        undecided = set()
        for letter_id in wanted:
            decision = known.get(letter_id)
            if letter_id in passed_over:
                continue
            if decision is None:
                undecided.add(letter_id)
            else:
                _check_same(decision, key, text)
                decided[letter_id] = decision
        due = [self._replay(letter, decided[letter.id]) for letter in self._topic.these(decided)]
        due.sort(key=lambda one: one.age)
        first: dict[Refused, LetterId] = {}
        for letter in self._topic.these(undecided):
            if (same := first.setdefault(letter.refused, letter.id)) != letter.id:
                passed_over[letter.id] = f"a double of {same}"
                continue
            decision = self._decided(letter, by=by, why=why, key=key, patch=text)
            try:
                due.append(self._replay(letter, decision))
            except InvalidInput as error:
                if not passes_over:
                    raise
                passed_over[letter.id] = str(error)
        due, repeated = self._without_repeats(due, known, counted)
        passed_over |= repeated
        fresh = [one.decision for one in due if one.letter.id in undecided]
        if fresh:
            self._decisions.add(fresh)
        self._step("decided")
        for one in due:
            self._publish(one)
            self._step("published")
        self._topic.flush()
        self._step("flushed")
        return Replayed(letters=sorted(one.letter.id for one in due), passed_over=passed_over)

    def _replay(self, letter: Letter, decision: Decision) -> _Replay:
        patch = None if decision.patch is None else json.loads(decision.patch)
        value = replayed_value(letter, patch)
        return _Replay(letter=letter, decision=decision, value=value, readings=identities(value))

    def _without_repeats(
        self, due: Sequence[_Replay], known: Mapping[LetterId, Decision], counted: CountedLetters
    ) -> tuple[list[_Replay], dict[LetterId, str]]:
        """The replays without readings that the stream takes from elsewhere; and of which nothing is left, and why.

        Elsewhere is a message of the topic; or an earlier replay, which may be on its way. Nobody decides beside us
        unseen: of two who do, one is refused (`Decisions.add`).
        """
        sent = self._sent.find(_by_partition(due))
        taken = self._on_their_way({one.letter.id for one in due}, known, counted) if sent or _are_named(due) else {}
        left, repeated = [], {}
        for one in due:
            rows, told = [], ""
            for row, reading in enumerate(one.readings):
                why = "" if reading is None else _elsewhere(one, sent.get(reading, ()), taken.get(reading))
                told = told or why
                if not why:
                    rows.append(row)
            if not rows and one.readings:
                repeated[one.letter.id] = told
                continue
            value = one.value if len(rows) == len(one.readings) else rows_of(one.letter, one.value, rows)
            left.append(replace(one, value=value))
            for row in rows:
                reading = one.readings[row]
                if reading is not None:
                    taken.setdefault(reading, (one.age, one.letter.id))
        return left, repeated

    def _on_their_way(
        self, due: Collection[LetterId], known: Mapping[LetterId, Decision], counted: CountedLetters
    ) -> dict[Identity, tuple[_Age, LetterId]]:
        """The readings of other replays that were decided, and that the stream has not met yet."""
        others = {
            letter_id: decision
            for letter_id, decision in known.items()
            if decision.action == "replay" and letter_id not in counted and letter_id not in due
        }
        found: dict[Identity, tuple[_Age, LetterId]] = {}
        for letter in self._topic.these(others, kept_only=True):
            one = self._replay(letter, others[letter.id])
            for reading in one.readings:
                if reading is not None:
                    found[reading] = min(found.get(reading, (one.age, letter.id)), (one.age, letter.id))
        return found

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

    def _publish(self, one: _Replay) -> None:
        assert one.decision.partition is not None
        key = one.letter.key if one.decision.key is None else one.decision.key
        self._topic.publish(one.letter.id, one.decision.partition, key, one.value)


def _by_partition(due: Sequence[_Replay]) -> Mapping[int, Collection[Identity]]:
    found: dict[int, set[Identity]] = {}
    for one in due:
        assert one.decision.partition is not None
        found.setdefault(one.decision.partition, set()).update(r for r in one.readings if r is not None)
    return {partition: readings for partition, readings in found.items() if readings}


def _are_named(due: Sequence[_Replay]) -> bool:
    return any(reading is not None for one in due for reading in one.readings)


def _elsewhere(one: _Replay, sent: Sequence[Sent], taken: tuple[_Age, LetterId] | None) -> str:
    """Why a reading of a replay is not to be replayed; empty where it is."""
    for message in sent:
        if message.replays != one.letter.id:
            return f"its reading is in message {message.partition}/{message.offset}, which counts"
    if taken is not None and taken[0] < one.age:
        return f"its reading is that of letter {taken[1]}, which is replayed"
    return ""


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
