from __future__ import annotations

import random
from itertools import pairwise

import pyarrow as pa

from ingestion.checkpoint import Counters, Progress, State, pack, unpack
from ingestion.counted_letters import CountedLetters, LetterId, MetLetters, replay_header, replayed_letter
from ingestion.records import Message, Records
from ingestion.settings import TopicSettings

HEAD = Progress(
    partition=0,
    next_offset=7,
    counters=Counters(accepted=3),
    watermark_min=None,
    watermark_max=None,
    last_commit_at=None,
    machines=0,
    open_windows=0,
)
STATE = pack(State(head=HEAD, kind="tumbling 1", windows=pa.table({"a": [1, 2]}), machines=pa.table({"b": ["x"]})))


TOPICS = TopicSettings(readings="t", dead_letters="t-dead-letters", own_letters="t-mine-dead-letters")


def replay(offset: int, *headers: tuple[str, bytes]) -> Message:
    return Message(offset, 0, b"m", b"{}", headers)


def test_a_set_of_letters_like_any_other() -> None:
    random_ = random.Random(3)
    letters, plain = CountedLetters(), set()
    for _ in range(2000):
        letter = LetterId(random_.randrange(3), random_.randrange(300))
        assert letters.add(letter) == (letter not in plain)
        plain.add(letter)
    for partition in range(4):
        for offset in range(310):
            assert (LetterId(partition, offset) in letters) == ((partition, offset) in plain)
        ranges = letters.ranges(partition)
        assert all(end < start for (_, end), (start, _) in pairwise(ranges)), "they would join"


def test_it_is_kept_in_the_state() -> None:
    letters = CountedLetters()
    assert letters.written_into(STATE) is STATE
    for offset in (5, 6, 9):
        letters.add(LetterId(2, offset))
    kept = letters.written_into(STATE)
    again = CountedLetters.held_by(kept)
    assert again.ranges(2) == [(5, 7), (9, 10)]
    assert again.written_into(STATE) == kept
    assert (unpack(kept).head, unpack(kept).windows) == (HEAD, unpack(STATE).windows)
    assert CountedLetters.held_by(STATE).ranges(2) == []


def test_sets_are_joined() -> None:
    one, other = CountedLetters(), CountedLetters()
    one.add(LetterId(0, 1))
    other.add(LetterId(0, 2))
    other.add(LetterId(1, 1))
    one.merge(other)
    assert (one.ranges(0), one.ranges(1)) == ([(1, 3)], [(1, 2)])


def test_what_two_sets_have_in_common() -> None:
    one, other = CountedLetters(), CountedLetters()
    for offset in (1, 2, 5):
        one.add(LetterId(0, offset))
        other.add(LetterId(0, offset + 1))
    assert one.in_both(other).ranges(0) == [(2, 3)]


def test_each_letter_is_picked_once() -> None:
    letters = MetLetters(TOPICS)
    mark = replay_header("t-dead-letters", LetterId(1, 4))
    records = Records.of([replay(0), replay(1, mark), replay(2, ("other", b"x")), replay(3, mark)])
    assert letters.pick(records).offsets.tolist() == [0, 1, 2]
    assert letters.pick(Records.of([replay(4, mark), replay(5)])).offsets.tolist() == [5]
    untouched = Records.of([replay(6), replay(7)])
    assert letters.pick(untouched) is untouched


def test_letters_of_the_topic_and_a_streams_own_are_two_sets_and_others_are_passed_over() -> None:
    letters = MetLetters(TOPICS)
    shared, own, foreign, elsewhere = (
        replay_header(topic, LetterId(1, 4))
        for topic in ("t-dead-letters", "t-mine-dead-letters", "t-yours-dead-letters", "u-dead-letters")
    )
    records = Records.of([replay(n, mark) for n, mark in enumerate((shared, own, foreign, elsewhere))])
    assert letters.pick(records).offsets.tolist() == [0, 1, 3]
    again = MetLetters(TOPICS, letters.written_into(STATE))
    assert again.pick(records).offsets.tolist() == [3]
    assert CountedLetters.held_by(letters.written_into(STATE), own=True).ranges(1) == [(4, 5)]
    without = MetLetters(TopicSettings(readings="t", dead_letters="t-dead-letters"))
    assert without.pick(records).offsets.tolist() == [0, 3], "the built-in stream has counted what others refused"


def test_what_names_no_letter_is_an_ordinary_message() -> None:
    for text in (b"", b"dead", b"dead/1", b"dead/x/2", b"dead/1/-2", b"\xff\xff", b"dead/1/2/3"):
        assert replayed_letter([("replay-of", text)]) is None, text
    assert replayed_letter([("x", b"dead/1/2"), ("replay-of", b"dead/1/2")]) == ("dead", LetterId(1, 2))
