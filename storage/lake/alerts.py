"""The lake's `alerts` table as one stream's evaluation writes it: rows, state and position in one Delta commit.

Per stream the log's app transactions say which version of the stream's own table is judged next, which state file
belongs to that, which number the next row gets, and up to which number rows were known to be published.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as dataset
from deltalake import DeltaTable, Transaction
from deltalake.exceptions import DeltaError

from ingestion.alerts.alert import ALERT_SCHEMA
from ingestion.alerts.ports import AlertStep, Kept, Row
from ingestion.errors import Fenced, TryAgain
from storage.lake.stream_state import PartitionIds, read_state, remove_superseded, supersede, write_state
from storage.lake.tables import ALERTS
from storage.lake.window_sink import AppendTable

_APPLICATION = "alerts"
_STATE = re.compile(r"alerts-(.+)-0-[0-9a-f]{16}\.state")


class LakeAlerts:
    """An AlertStore. One writer a stream: a second one that commits makes the first one's next commit fail."""

    def __init__(
        self,
        lake_root: Path,
        state_root: Path,
        stream: str,
        *,
        step: Callable[[AlertStep], None] = lambda step: None,
    ) -> None:
        self._root = lake_root
        self._state_root = state_root
        self._ids = _ids(stream)
        self._stream = stream
        self._step = step
        self._table: AppendTable | None = None
        self._found: tuple[int | None, ...] = ()

    def restore(self) -> Kept | None:
        if self._table is None and not DeltaTable.is_deltatable(str(ALERTS.path(self._root))):
            self._found = (None,) * len(_names(self._ids))
            return None
        self._opened().refresh()
        self._found = self._transactions()
        position, state, number, published = self._found
        if position is None or state is None:
            return None
        held = read_state(self._state_root, self._ids, state)
        remove_superseded(self._state_root, self._ids, state)
        return Kept(position=position, state=held, number=number or 0, published=published or 0)

    def commit(self, kept: Kept, rows: Sequence[Row]) -> None:
        """Raises Fenced, TryAgain."""
        state = write_state(self._state_root, self._ids, kept.state)
        self._step("state on disk")
        table = self._opened()
        table.refresh()
        if self._transactions() != self._found:
            raise Fenced(f"somebody else has committed alerts of {self._stream} since we did")
        now = (kept.position, state, kept.number, kept.published)
        dated = [{**row, "date": row["raised_at"].date()} for row in rows]
        table.append(
            pa.Table.from_pylist(dated, schema=ALERTS.schema),
            [Transaction(name, value) for name, value in zip(_names(self._ids), now, strict=True)],
        )
        before = self._found[1]
        self._found = now
        if before is not None and before != state:
            supersede(self._state_root, self._ids, before)
        remove_superseded(self._state_root, self._ids, state)

    def rows(self, first: int, limit: int) -> list[Row]:
        """Raises TryAgain where the lake cannot be read."""
        try:
            files = DeltaTable(str(ALERTS.path(self._root))).file_uris()
            # not the table's own dataset: it takes columns without statistics for empty
            rows_of = dataset.dataset(files, schema=ALERT_SCHEMA)
            found = rows_of.to_table(filter=(pc.field("stream") == self._stream) & (pc.field("number") >= first))
            found = found.sort_by("number")
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise TryAgain(f"the lake table {ALERTS.name} cannot be read now: {error}") from error
        rows: list[Row] = found.slice(0, limit).to_pylist()
        return rows

    def _transactions(self) -> tuple[int | None, ...]:
        table = self._opened()
        return tuple(table.version_of(name) for name in _names(self._ids))

    def _opened(self) -> AppendTable:
        if self._table is None:
            self._table = AppendTable(
                self._root,
                ALERTS,
                wrote_part=lambda: self._step("part on disk"),
                wrote_entry=lambda: self._step("entry written"),
            )
        return self._table


def needed_versions(lake_root: Path, tables: Mapping[str, str]) -> dict[str, int]:
    """From which version on the evaluation of alerts needs a table's history, by table.

    tables  of each stream that has rules
    """
    path = str(ALERTS.path(lake_root))
    if not tables or not DeltaTable.is_deltatable(path):
        return {}
    try:
        log = DeltaTable(path)
    except (DeltaError, OSError) as error:
        raise TryAgain(f"the lake table {ALERTS.name} cannot be read now: {error}") from error
    return _least((table, log.transaction_version(_ids(stream).position)) for stream, table in tables.items())


def known_streams(state_root: Path) -> list[str]:
    """Streams of which alerts were evaluated once, by their state files."""
    found = {match[1] for path in state_root.glob("alerts-*.state") if (match := _STATE.fullmatch(path.name))}
    return sorted(found)


def _least(positions: Iterable[tuple[str, int | None]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for table, position in positions:
        if position is not None:
            # who has judged up to a version needs what came after it
            version = max(position - 1, 0)
            found[table] = min(version, found.get(table, version))
    return found


def _ids(stream: str) -> PartitionIds:
    return PartitionIds(stream=_APPLICATION, topic=stream, partition=0, suffix=".state")


def _names(ids: PartitionIds) -> tuple[str, str, str, str]:
    return ids.position, ids.state, f"{ids.position}/number", f"{ids.position}/published"
