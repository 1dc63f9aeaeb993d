"""When two readings are the same one, sent twice: equal machine, sensor, event time and sequence number. Pure.

Looked for in messages that may be refused for something else: what names the reading is read, its value is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import pyarrow as pa

from ingestion.codec import UNREADABLE_JSON, Int64, to_microseconds
from ingestion.counted_letters import REPLAY_OF, LetterId, replayed_letter
from ingestion.errors import PoisonMessage
from ingestion.json_batches import decode, form_of, lines_of
from ingestion.letter import Letter

Identity = tuple[str, str, int, int]
"""Machine, sensor, event time in microseconds since 1970, sequence number."""


class _Named(msgspec.Struct, gc=False):
    machine_id: str
    sensor_id: str
    event_time: Annotated[datetime, msgspec.Meta(tz=True)]
    sequence: Int64


_decoder = msgspec.json.Decoder(_Named)


def identities(value: bytes) -> list[Identity | None]:
    """Of each reading in a message, in order; None of one that has no sequence number, or cannot be read."""
    if value[:1] == b"{" and form_of(value) != "columns":
        lines = lines_of(value) if form_of(value) == "lines" else [value]
        return [_identity(line) for line in lines]
    try:
        rows = decode(value)
    except PoisonMessage:
        return [None]
    columns = [rows.column(name) for name in ("machine_id", "sensor_id", "event_time", "sequence")]
    columns[2] = columns[2].cast(pa.int64())
    told = zip(*(column.to_pylist() for column in columns), strict=True)
    return [(m, s, at, number) if None not in (m, s, at, number) else None for m, s, at, number in told]


def readings_of(letter: Letter) -> frozenset[Identity]:
    """The readings that a letter is of; empty where one of them cannot be told from others."""
    if not letter.value or letter.original_size is not None:
        return frozenset()
    found = identities(letter.value)
    if letter.rows is not None:
        found = [found[row] for row in letter.rows if row < len(found)]
    named = [identity for identity in found if identity is not None]
    return frozenset(named) if len(named) == len(found) else frozenset()


class Doubles:
    """Which letters are of the same as one before. Told letter by letter; it keeps some bytes of each.

    What is refused again of a replay is no double of the letter that was replayed: it stands in its place.
    """

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._replays: dict[LetterId, int] = {}  # how many times before, where it was

    def is_double(self, letter: Letter) -> bool:
        """Whether an earlier one is of the same message and rows, or of the same readings; it is noted."""
        marks = {hash(letter.refused)}
        if readings := readings_of(letter):
            marks.add(hash((self._replayed(letter), readings)))
        known = not marks.isdisjoint(self._met)
        self._met |= marks
        return known

    def _replayed(self, letter: Letter) -> int:
        """How often what the letter is of had been replayed when it was refused."""
        before = replayed_letter([(REPLAY_OF, (letter.replay_of or "").encode())])
        if before is None:
            return 0
        times = self._replays[letter.id] = self._replays.get(before[1], 0) + 1
        return times


def _identity(line: bytes) -> Identity | None:
    try:
        found = _decoder.decode(line)
        return found.machine_id, found.sensor_id, to_microseconds(found.event_time), found.sequence
    except UNREADABLE_JSON:
        return None
