"""The ports of a backfill in memory: a topic that is kept in lists, tables that are lists of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.backfill.reads import Kept
from ingestion.checkpoint import from_microseconds
from ingestion.codec import EPOCH
from ingestion.errors import Fenced
from ingestion.records import Message, Record
from tests.contract.streams import Crash, Store


@dataclass
class MemoryHistory:
    """A History of messages; those before `begin` were deleted. It hands out `cut` messages at a time."""

    partitions: Mapping[int, Sequence[Message]]
    begin: int = 0
    cut: int = 7

    def kept(self) -> Mapping[int, Kept]:
        found = {}
        for partition, messages in self.partitions.items():
            first = messages[self.begin] if self.begin < len(messages) else None
            at = None if first is None else from_microseconds(first.timestamp * 1000)
            found[partition] = Kept(begin=min(self.begin, len(messages)), end=len(messages), first_at=at)
        return found

    def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        milliseconds = (moment - EPOCH) / timedelta(milliseconds=1)
        return {
            partition: next(
                (m.offset for m in messages[self.begin :] if m.timestamp >= milliseconds),
                len(messages),
            )
            for partition, messages in self.partitions.items()
        }

    def read(self, partition: int, begin: int, end: int) -> Iterator[Sequence[Record]]:
        assert begin >= self.begin or begin == end
        for place in range(begin, end, self.cut):
            yield self.partitions[partition][place : min(end, place + self.cut)]


class MemoryBackfillTable:
    """A BackfillTable on a Store. It dies at `crash_at`: before `late`, before `windows`, or when it is `done`."""

    def __init__(self, store: Store, crash_at: str | None = None) -> None:
        self.store = store
        self.crash_at = crash_at
        self._numbers: dict[str, int] = {}

    def windows(self, since: datetime, until: datetime) -> pa.Table:
        self._note("windows")
        return _between(pa.concat_tables(self.store.windows), "window_start", since, until)

    def late(self, since: datetime, until: datetime) -> pa.Table:
        self._note("late")
        return _between(pa.concat_tables(self.store.late), "event_time", since, until)

    def add(self, windows: pa.Table | None, late: pa.Table | None) -> None:
        self._step("late")
        if late is not None:
            self._count("late")
            self.store.late.append(late)
        self._step("windows")
        if windows is not None:
            self._count("windows")
            self.store.windows.append(windows)
        self._step("done")

    def _note(self, table: str) -> None:
        if self._numbers.setdefault(table, self.store.backfills[table]) != self.store.backfills[table]:
            raise Fenced(f"another backfill is writing to {table}")

    def _count(self, table: str) -> None:
        if self._numbers.get(table, 0) != self.store.backfills[table]:
            raise Fenced(f"another backfill is writing to {table}")
        self.store.backfills[table] += 1
        self._numbers[table] = self.store.backfills[table]

    def _step(self, name: str) -> None:
        if self.crash_at == name:
            self.crash_at = None
            raise Crash(name)


def _between(rows: pa.Table, column: str, since: datetime, until: datetime) -> pa.Table:
    moment = rows[column]
    return rows.filter(pc.and_(pc.greater_equal(moment, pa.scalar(since)), pc.less(moment, pa.scalar(until))))
