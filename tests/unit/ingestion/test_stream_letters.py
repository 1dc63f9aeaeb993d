"""Several streams refuse the same message: one writes the letter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ingestion.extra_fields import WRONG_FIELD
from ingestion.intake import DeadLetter, Message
from ingestion.letter_topics import are_of_a_stream, letters_of_stream, letters_of_topic
from ingestion.stream_letters import StreamLetters


class Kept:
    def __init__(self) -> None:
        self.restored: list[int] = []
        self.letters: list[int] = []

    def restore(self, partition: int) -> None:
        self.restored.append(partition)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += [letter.message.offset for letter in letters]


def a_letter(offset: int, reason: str) -> DeadLetter:
    return DeadLetter(partition=0, message=Message(offset, 0, b"m", b"{"), reason=reason, detail="")


LETTERS = [a_letter(1, "bad_json"), a_letter(2, WRONG_FIELD), a_letter(3, "null_key")]


def test_letters_of_the_topic_are_left_to_the_stream_that_writes_them() -> None:
    own = Kept()
    letters = StreamLetters(own, None, lambda: pytest.fail("nobody asks for the claim of the readings topic"))
    letters.restore(2)
    letters.put(LETTERS)
    assert (own.letters, own.restored) == ([2], [2])


@pytest.mark.parametrize(("is_writer", "written"), [(True, [1, 3]), (False, [])])
def test_letters_of_another_topic_are_written_by_who_holds_the_claim(is_writer: bool, written: list[int]) -> None:
    own, shared = Kept(), Kept()
    letters = StreamLetters(own, shared, lambda: is_writer)
    letters.restore(0)
    letters.put(LETTERS)
    assert (own.letters, shared.letters) == ([2], written)
    assert shared.restored == [0]


def test_a_stream_without_fields_has_no_letters_of_its_own() -> None:
    StreamLetters(None, None, lambda: True).put(LETTERS)


def test_what_is_refused_of_the_replay_of_an_own_letter_is_an_own_letter() -> None:
    own, shared = Kept(), Kept()
    letters = StreamLetters(own, shared, lambda: True, own_topic="t-a-dead-letters")
    replays = [
        DeadLetter(partition=0, message=Message(n, 0, b"m", b"{", [("replay-of", held)]), reason="bad_json", detail="")
        for n, held in enumerate((b"t-a-dead-letters/0/7", b"t-dead-letters/0/7"))
    ]
    letters.put(replays)
    assert (own.letters, shared.letters) == ([0], [1])


def test_topics_do_not_meet() -> None:
    assert are_of_a_stream("t-a-dead-letters", "t")
    assert not any(are_of_a_stream(name, "t") for name in ("t-dead-letters", "u-a-dead-letters", "t-a"))
    assert letters_of_topic("t") == "t-dead-letters"
    assert letters_of_stream("t", "a") == "t-a-dead-letters"
