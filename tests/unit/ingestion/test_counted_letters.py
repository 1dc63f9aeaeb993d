from __future__ import annotations

import random
from itertools import pairwise

import pyarrow as pa

from ingestion.checkpoint import Counters, Progress, State, pack, unpack
from ingestion.counted_letters import CountedLetters, LetterId, letter_of, replay_header
from ingestion.records import Message, Records

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


def test_each_letter_is_picked_once() -> None:
    letters = CountedLetters()
    mark = replay_header("dead", LetterId(1, 4))
    records = Records.of([replay(0), replay(1, mark), replay(2, ("other", b"x")), replay(3, mark)])
    assert letters.pick(records, "dead").offsets.tolist() == [0, 1, 2]
    assert letters.pick(Records.of([replay(4, mark), replay(5)]), "dead").offsets.tolist() == [5]
    untouched = Records.of([replay(6), replay(7)])
    assert letters.pick(untouched, "dead") is untouched


def test_what_names_no_letter_of_ours_is_an_ordinary_message() -> None:
    for text in (b"", b"dead", b"dead/1", b"dead/x/2", b"other/1/2", b"dead/1/-2", b"\xff\xff", b"dead/1/2/3"):
        assert letter_of([("replay-of", text)], "dead") is None, text
    assert letter_of([("x", b"dead/1/2"), ("replay-of", b"dead/1/2")], "dead") == LetterId(1, 2)
