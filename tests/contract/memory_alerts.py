"""The ports of alerts in memory. Evaluations may share what outlives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ingestion.alerts.ports import Kept, Row, Version
from ingestion.errors import Fenced, TryAgain


@dataclass
class Outliving:
    """What outlives an evaluation: commits and published rows of all streams."""

    kept: dict[str, Kept] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    topic: list[Row] = field(default_factory=list)


class MemoryAlerts:
    """An AlertStore."""

    def __init__(self, outliving: Outliving, stream: str) -> None:
        self._outliving = outliving
        self._stream = stream
        self._expected: Kept | None = None

    def restore(self) -> Kept | None:
        self._expected = self._outliving.kept.get(self._stream)
        return self._expected

    def commit(self, kept: Kept, rows: Sequence[Row]) -> None:
        if self._outliving.kept.get(self._stream) != self._expected:
            raise Fenced("another has committed")
        self._outliving.kept[self._stream] = self._expected = kept
        self._outliving.rows += rows

    def rows(self, first: int, limit: int) -> list[Row]:
        mine = [row for row in self._outliving.rows if row["stream"] == self._stream and row["number"] >= first]
        return sorted(mine, key=lambda row: int(row["number"]))[:limit]


class MemoryAlertTopic:
    """An AlertTopic; while it is away it raises."""

    def __init__(self, outliving: Outliving) -> None:
        self._outliving = outliving
        self.is_away = False

    def published(self, stream: str) -> int:
        self._check()
        return max((row["number"] + 1 for row in self._outliving.topic if row["stream"] == stream), default=0)

    def publish(self, rows: Sequence[Row]) -> None:
        self._check()
        self._outliving.topic += rows

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.is_away:
            raise TryAgain("the broker is away")


class MemoryVersions:
    """Versions of a table: tables of rows; `forgotten` of the first are no longer there.

    seconds  when a version came; else in the second of its number
    """

    def __init__(self, tables: list[pa.Table] | None = None) -> None:
        self.tables = tables if tables is not None else []
        self.forgotten = 0
        self.seconds: dict[int, float] = {}

    def newest(self) -> int | None:
        return len(self.tables) - 1 if self.tables else None

    def read(self, version: int, columns: Sequence[str]) -> Version | None:
        if not self.forgotten <= version < len(self.tables):
            return None
        seconds = self.seconds.get(version, version)
        return Version(rows=self.tables[version].select(list(columns)), committed_us=round(seconds * 1e6))
