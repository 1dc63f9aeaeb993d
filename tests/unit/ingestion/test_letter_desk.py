"""Replays that die at every step, and start again: on ports in memory, with the stream's own picking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from ingestion.counted_letters import CountedLetters, LetterId, MetLetters, replay_header
from ingestion.errors import InvalidInput, TryAgain
from ingestion.letter import Letter
from ingestion.letter_desk import Decision, LetterDesk, open_letters
from ingestion.records import Message, Records
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

    @property
    def counted(self) -> CountedLetters:
        return self.met.shared

    def desk(self, die_at: int | None = None) -> LetterDesk:
        steps = iter(range(1000))

        def step(_: str) -> None:
            if next(steps) == die_at:
                raise Killed

        return LetterDesk(Topic(self), Stored(self), lambda: self.counted, now=lambda: NOW, step=step)

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

    def these(self, wanted: Collection[LetterId]) -> Iterator[Letter]:
        for letter in sorted(wanted):
            if letter not in self.world.letters:
                raise InvalidInput(f"there is no letter {letter}")
            yield self.world.letters[letter]

    def partition_of(self, key: bytes) -> int:
        return 9

    def publish(self, letter: LetterId, partition: int, key: bytes | None, value: bytes) -> None:
        headers = [replay_header("dead", letter)]
        self.world.readings.append((partition, Message(len(self.world.readings), 0, key, value, headers)))

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


def test_open_letters_are_counted_without_reading_them(world: World) -> None:
    bounds = {0: (0, 6), 1: (2, 6)}
    assert open_letters(bounds, world.decisions, world.counted) == 10
    world.desk().replay([LetterId(0, 0), LetterId(0, 2)], by="me")
    world.desk().discard([LetterId(1, 1), LetterId(1, 3)], by="me", why="a test")
    assert open_letters(bounds, world.decisions, world.counted) == 9, "1/1 is not kept any more"
    world.stream()
    assert open_letters(bounds, world.decisions, world.counted) == 7
    assert LetterId(1, 3) not in world.counted
