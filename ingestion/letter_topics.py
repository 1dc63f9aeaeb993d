"""How dead-letter topics are named: one of each topic, one of each stream that refuses what others take."""

from __future__ import annotations

_SUFFIX = "-dead-letters"


def letters_of_topic(topic: str) -> str:
    """The dead-letter topic of a topic: what no stream could read."""
    return f"{topic}{_SUFFIX}"


def letters_of_stream(topic: str, stream: str) -> str:
    """The dead-letter topic of one stream: what it alone refused."""
    return f"{topic}-{stream}{_SUFFIX}"


def are_of_a_stream(letters: str, topic: str) -> bool:
    """Whether a dead-letter topic is that of one stream on the topic, whichever."""
    return letters.startswith(f"{topic}-") and letters.endswith(_SUFFIX) and letters != letters_of_topic(topic)
