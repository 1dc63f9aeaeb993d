"""Where readings lie in their topic, as the stream takes them: before a letter is replayed, was its reading sent again?

Read is what can hold them: the machine's messages, from where the broker's timestamps reach the readings' time. A
message whose reading was refused does not count, nor does a replay that belongs to another stream.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.backfill.reads import History
from ingestion.codec import EPOCH, to_microseconds
from ingestion.counted_letters import LetterId, replayed_letter
from ingestion.intake import Intake, sift
from ingestion.letter_topics import are_of_a_stream
from ingestion.records import Record, Records
from ingestion.same_reading import Identity
from ingestion.settings import StreamSettings

Refine = Callable[[int, Records, Intake], Intake]
"""What a defined stream does to an intake before it counts."""


class Sent(NamedTuple):
    """One message that holds a reading, and of a replay its letter of the same dead-letter topic."""

    partition: int
    offset: int
    replays: LetterId | None


class SentReadings:
    """Looks in Kafka's history. One thread at a time."""

    def __init__(self, history: History, settings: StreamSettings, letters: str, refine: Refine | None = None) -> None:
        """`letters` is the dead-letter topic whose letters are to be replayed."""
        self._history = history
        self._settings = settings
        self._letters = letters
        self._refine = refine

    def find(self, wanted: Mapping[int, Collection[Identity]]) -> Mapping[Identity, Sequence[Sent]]:
        """Every message that holds one of these readings and is counted for it. Raises TryAgain, InvalidInput.

        wanted  by partition of the readings topic
        """
        found: dict[Identity, list[Sent]] = {}
        oldest = to_microseconds(self._settings.min_event_time)
        for partition, identities in wanted.items():
            possible = {identity for identity in identities if identity[2] >= oldest}
            if possible:
                self._look(partition, possible, found)
        return found

    def _look(self, partition: int, wanted: set[Identity], found: dict[Identity, list[Sent]]) -> None:
        machines = {machine.encode() for machine, *_ in wanted}
        numbers = pa.array(sorted({number for *_, number in wanted}), pa.int64())
        first = EPOCH + timedelta(microseconds=min(at for _, _, at, _ in wanted)) - self._settings.max_future_skew
        begin = self._history.offsets_at(first).get(partition, 0)
        kept = self._history.kept()[partition]
        for records in self._history.read(partition, max(begin, kept.begin), kept.end):
            mine = [record for record in records if record.key in machines and self._is_ours(record)]
            if mine:
                for identity, offset in self._read(partition, mine, numbers):
                    if identity in wanted:
                        found.setdefault(identity, []).append(Sent(partition, offset, self._replayed(mine, offset)))

    def _read(self, partition: int, records: Sequence[Record], numbers: pa.Array) -> list[tuple[Identity, int]]:
        held = Records.of(records)
        intake = sift(partition, held, self._settings)
        if self._refine is not None:
            intake = self._refine(partition, held, intake)
        near = np.flatnonzero(pc.is_in(intake.readings.column("sequence"), value_set=numbers))
        rows, offsets = intake.readings.take(pa.array(near)), intake.offsets[near].tolist()
        times = rows.column("event_time").cast(pa.int64()).to_pylist()
        columns = [rows.column(name).to_pylist() for name in ("machine_id", "sensor_id", "sequence")]
        told = zip(*columns, times, offsets, strict=True)
        return [((machine, sensor, at, number), offset) for machine, sensor, number, at, offset in told]

    def _replayed(self, records: Sequence[Record], offset: int) -> LetterId | None:
        (record,) = (one for one in records if one.offset == offset)
        replayed = replayed_letter(record.headers or ())
        return replayed[1] if replayed is not None and replayed[0] == self._letters else None

    def _is_ours(self, record: Record) -> bool:
        replayed = replayed_letter(record.headers or ())
        if replayed is None or replayed[0] == self._letters:
            return True
        return not are_of_a_stream(replayed[0], self._settings.topics.readings)
