"""Which dead letters a defined stream writes: those that it alone refuses, and all of its topic where nobody else does.

Every stream on a topic refuses the same unreadable messages. One of them writes the letters: of the readings topic the
built-in stream, of another topic the one that holds the topic's claim. A field of another type than a definition
declares is refused by that stream alone, and goes to its own letters; so does what is refused of their replays, which
no other stream takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingestion.counted_letters import replayed_letter
from ingestion.extra_fields import WRONG_FIELD
from ingestion.intake import DeadLetter
from ingestion.ports import DeadLetterQueue


class StreamLetters:
    """A DeadLetterQueue of a defined stream.

    own       its own letters; None where it declares no fields, and then has none
    shared    those of the topic; None where another stream always writes them
    is_writer  asked whenever there are some: does this stream write those of the topic?
    """

    def __init__(
        self,
        own: DeadLetterQueue | None,
        shared: DeadLetterQueue | None,
        is_writer: Callable[[], bool],
        *,
        own_topic: str | None = None,
    ) -> None:
        """`own_topic` is the dead-letter topic of `own`."""
        self._own = own
        self._own_topic = own_topic
        self._shared = shared
        self._is_writer = is_writer

    def restore(self, partition: int) -> None:
        for queue in (self._own, self._shared):
            if queue is not None:
                queue.restore(partition)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        own = [letter for letter in letters if self._is_own(letter)]
        others = [letter for letter in letters if not self._is_own(letter)]
        if own and self._own is not None:
            self._own.put(own)
        if others and self._shared is not None and self._is_writer():
            self._shared.put(others)

    def _is_own(self, letter: DeadLetter) -> bool:
        replayed = replayed_letter(letter.message.headers)
        return letter.reason == WRONG_FIELD or (replayed is not None and replayed[0] == self._own_topic)
