"""Replays that die at every step, and start again: on ports in memory, with the stream's own picking."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from ingestion.counted_letters import CountedLetters, LetterId, MetLetters, replay_header
from ingestion.errors import InvalidInput, TryAgain
from ingestion.letter import Letter
from ingestion.letter_desk import Decision, LetterDesk
from ingestion.records import Message, Records
from ingestion.same_reading import Identity, identities
from ingestion.sent_readings import Sent
from ingestion.settings import TopicSettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Killed(Exception):
    pass


@dataclass
class World:
    """What outlives a command: letters, decisions, what was published, what the stream has counted."""

    letters: dict[LetterId, Letter]
    decisions: dict[LetterId, Decision] = field(default_factory=dict)
    readings: list[tuple[int, Message]] = field(default_factory=list)
    met: MetLetters = field(default_factory=lambda: MetLetters(TopicSettings(dead_letters="dead")))
    taken: list[tuple[int, Message]] = field(default_factory=list)
    sent: dict[Identity, list[Sent]] = field(default_factory=dict)

    def find(self, wanted: Mapping[int, Collection[Identity]]) -> Mapping[Identity, Sequence[Sent]]:
        """What lies in the topic, met by the stream or not."""
        asked = {reading for readings in wanted.values() for reading in readings}
        return {reading: self.sent[reading] for reading in asked if reading in self.sent}

    @property
    def counted(self) -> CountedLetters:
        return self.met.shared

    def desk(self, die_at: int | None = None) -> LetterDesk:
        steps = iter(range(1000))

        def step(_: str) -> None:
            if next(steps) == die_at:
                raise Killed

        return LetterDesk(Topic(self), Stored(self), lambda: self.counted, self, now=lambda: NOW, step=step)

    def stream(self) -> None:
        """The worker folds what was published since."""
        for partition, message in self.readings:
            if len(self.met.pick(Records.of([message]))):
                self.taken.append((partition, message))
        self.readings = []


@dataclass
class Topic:
    world: World

    def each(self, partition: int | None = None) -> Iterator[Letter]:
        return (held for at, held in sorted(self.world.letters.items()) if partition in (None, at.partition))

    def these(self, wanted: Collection[LetterId], *, kept_only: bool = False) -> Iterator[Letter]:
        for letter in sorted(wanted):
            if letter not in self.world.letters and kept_only:
                continue
            if letter not in self.world.letters:
                raise InvalidInput(f"there is no letter {letter}")
            yield self.world.letters[letter]

    def partition_of(self, key: bytes) -> int:
        return 9

    def publish(self, letter: LetterId, partition: int, key: bytes | None, value: bytes) -> None:
        headers = [replay_header("dead", letter)]
        self.world.readings.append((partition, Message(len(self.world.readings), 0, key, value, headers)))
        for reading in identities(value):
            if reading is not None:
                self.world.sent.setdefault(reading, []).append(Sent(partition, len(self.world.readings), letter))

    def flush(self) -> None:
        pass


@dataclass
class Stored:
    world: World
    seen: int = 0

    def known(self) -> Mapping[LetterId, Decision]:
        self.seen = len(self.world.decisions)
        return dict(self.world.decisions)

    def add(self, decisions: Sequence[Decision]) -> None:
        if self.seen != len(self.world.decisions):
            raise TryAgain("moved")
        self.world.decisions |= {decision.letter: decision for decision in decisions}


def letter(number: int, value: bytes | None = b'{"value": 1}') -> Letter:
    return Letter(
        id=LetterId(number % 2, number),
        stored_at=NOW,
        reason="bad_json",
        detail="why",
        origin=("readings", number % 2, 100 + number),
        key=b"m",
        value=value,
    )


@pytest.fixture
def world() -> World:
    return World({held.id: held for held in map(letter, range(6))})


def states(world: World) -> list[str]:
    return [case.state for case in world.desk().cases()]


@pytest.mark.parametrize("folds_between", [False, True])
@pytest.mark.parametrize("die_at", range(8))
def test_a_replay_that_died_anywhere_counts_once(world: World, die_at: int, folds_between: bool) -> None:
    wanted = list(world.letters)
    with pytest.raises(Killed):
        world.desk(die_at).replay(wanted, by="me")
    if folds_between:
        world.stream()
    world.desk().replay(wanted, by="me")
    world.stream()
    world.desk().replay(wanted, by="me")
    world.stream()
    assert sorted(m.headers[0][1] for _, m in world.taken) == sorted(f"dead/{at}".encode() for at in wanted)
    assert {partition for partition, _ in world.taken} == {0, 1}
    assert states(world) == ["replayed"] * 6


def test_states_of_a_letter(world: World) -> None:
    world.desk().replay([LetterId(0, 0), LetterId(0, 2)], by="me")
    world.desk().discard([LetterId(1, 1)], by="me", why="a test")
    assert states(world) == ["replaying", "replaying", "open", "discarded", "open", "open"]
    world.stream()
    assert states(world)[:2] == ["replayed", "replayed"]
    case = world.desk().case(LetterId(1, 1))
    assert case.decision is not None
    assert (case.decision.by, case.decision.why, case.decision.decided_at) == ("me", "a test", NOW)


def test_a_letter_that_was_written_twice_counts_once(world: World) -> None:
    """As by a worker that was frozen while another took its partition over."""
    twin = replace(world.letters[LetterId(0, 2)], id=LetterId(0, 12))
    some_rows = replace(twin, id=LetterId(0, 14), rows=(1,))
    world.letters |= {twin.id: twin, some_rows.id: some_rows}
    assert [case.state for case in world.desk().cases(0)] == ["open"] * 3 + ["double", "open"]
    done = world.desk().replay([LetterId(0, 0), LetterId(0, 2), twin.id], by="me")
    assert done.passed_over == {twin.id: "a double of 0/2"}
    world.stream()
    assert [m.headers[0][1] for _, m in world.taken] == [b"dead/0/0", b"dead/0/2"]
    assert [case.state for case in world.desk().cases(0)][3] == "double"
    world.desk().discard([twin.id], by="me", why="a double")
    assert [case.state for case in world.desk().cases(0)][3] == "discarded"


def test_another_key_and_a_patch(world: World) -> None:
    world.desk().replay([LetterId(0, 0)], by="me", key=b"n", patch={"value": 2})
    ((partition, message),) = world.readings
    assert (partition, message.key, message.value) == (9, b"n", b'{"value": 2}')
    world.desk().replay([LetterId(0, 0)], by="you")
    assert [(p, m.key, m.value) for p, m in world.readings] == [(9, b"n", b'{"value": 2}')] * 2, "as it was decided"


Act = Callable[[LetterDesk], object]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            lambda desk: desk.discard([LetterId(0, 0)], by="me", why="x"),
            lambda desk: desk.replay([LetterId(0, 2), LetterId(0, 0)], by="me"),
            "0/0 was discarded by me",
        ),
        (
            lambda desk: desk.replay([LetterId(0, 0)], by="me"),
            lambda desk: desk.discard([LetterId(0, 2), LetterId(0, 0)], by="me", why="x"),
            "0/0 was replayed",
        ),
        (
            lambda desk: desk.replay([LetterId(0, 0)], by="me"),
            lambda desk: desk.replay([LetterId(0, 2), LetterId(0, 0)], by="me", patch={"a": 1}),
            "0/0 is being replayed otherwise",
        ),
        (
            lambda desk: None,
            lambda desk: desk.replay([LetterId(0, 2), LetterId(0, 44)], by="me"),
            "there is no letter 0/44",
        ),
    ],
)
def test_a_refusal_changes_nothing(world: World, first: Act, second: Act, told: str) -> None:
    first(world.desk())
    before, sent = dict(world.decisions), len(world.readings)
    with pytest.raises(InvalidInput, match=told):
        second(world.desk())
    assert (world.decisions, len(world.readings)) == (before, sent)


def test_what_holds_nothing_is_passed_over_or_refused(world: World) -> None:
    world.letters[LetterId(0, 8)] = letter(8, None)
    with pytest.raises(InvalidInput, match="0/8"):
        world.desk().replay(list(world.letters), by="me")
    assert not world.decisions
    done = world.desk().replay(list(world.letters), by="me", passes_over=True)
    assert (len(done.letters), list(done.passed_over)) == (6, [LetterId(0, 8)])
    assert world.desk().case(LetterId(0, 8)).state == "open"


def named(number: int, *sequences: int | None) -> Letter:
    """A letter whose readings have these sequence numbers."""
    lines = [
        {"machine_id": "m", "sensor_id": "m/a", "event_time": "2026-03-01T00:00:00Z", "value": "3,2", "sequence": one}
        for one in sequences
    ]
    value = b"\n".join(json.dumps(line).encode() for line in lines)
    return replace(letter(number, value), rows=None if len(lines) == 1 else tuple(range(len(lines))))


def of(sequence: int) -> Identity:
    return ("m", "m/a", int(NOW.timestamp() * 1e6), sequence)


@pytest.mark.parametrize("folds_between", [False, True])
def test_two_letters_of_one_reading_count_once_whichever_is_named_first(folds_between: bool) -> None:
    world = World({one.id: one for one in (named(0, 7), named(2, 7), named(4, 8))})
    assert states(world) == ["open", "double", "open"]
    world.desk().replay([LetterId(0, 2)], by="me")
    if folds_between:
        world.stream()
    done = world.desk().replay([LetterId(0, 0), LetterId(0, 4)], by="me")
    assert done.letters == [LetterId(0, 4)]
    assert "its reading is in message" in done.passed_over[LetterId(0, 0)]
    world.stream()
    assert [m.headers[0][1] for _, m in world.taken] == [b"dead/0/2", b"dead/0/4"]


def test_a_replay_that_was_refused_again_is_open_and_its_twins_are_doubles() -> None:
    world = World({one.id: one for one in (named(0, 7), named(2, 7))})
    world.desk().replay([LetterId(0, 0)], by="me")
    world.stream()
    refused = [replace(named(number, 7), replay_of="dead/0/0") for number in (4, 6)]
    again = replace(named(8, 7), replay_of="dead/0/4")
    world.letters |= {one.id: one for one in (*refused, again)}
    assert states(world) == ["replayed", "double", "open", "double", "open"]


def test_two_letters_of_one_reading_in_one_call_count_once() -> None:
    world = World({one.id: one for one in (named(0, 7), named(2, 7))})
    done = world.desk().replay([LetterId(0, 0), LetterId(0, 2)], by="me")
    assert (done.letters, len(done.passed_over)) == ([LetterId(0, 0)], 1)
    assert "is that of letter 0/0" in done.passed_over[LetterId(0, 2)]


def test_a_replay_that_was_decided_and_not_published_holds_its_reading() -> None:
    world = World({one.id: one for one in (named(0, 7), named(2, 7))})
    with pytest.raises(Killed):
        world.desk(0).replay([LetterId(0, 0)], by="me")
    assert not world.readings
    done = world.desk().replay([LetterId(0, 2)], by="you")
    assert "is that of letter 0/0" in done.passed_over[LetterId(0, 2)]
    assert world.desk().replay([LetterId(0, 0)], by="me").letters == [LetterId(0, 0)], "it goes on as decided"


def test_a_reading_that_was_sent_again_and_counted_is_not_replayed() -> None:
    world = World({one.id: one for one in (named(0, 7), named(2, 8, 9), named(4, None))})
    world.sent = {of(7): [Sent(0, 55, None)], of(8): [Sent(0, 56, None)]}
    done = world.desk().replay([LetterId(0, 0), LetterId(0, 2), LetterId(0, 4)], by="me")
    assert done.passed_over == {LetterId(0, 0): "its reading is in message 0/55, which counts"}
    published = [identities(message.value or b"") for _, message in world.readings]
    assert published == [[of(9)], [None]], "the rows that are left, and what cannot be told apart"
