"""The lake's `letter_decisions` table: what was decided of each dead letter, by whom, when and why.

Every commit carries the number of commits as an app transaction, so of two who decide at once one is refused, and
has to look again at what the other decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Transaction
from deltalake.exceptions import DeltaError

from ingestion.counted_letters import LetterId
from ingestion.errors import Fenced, TryAgain
from ingestion.letter_desk import Decision
from storage.lake.tables import LETTER_DECISIONS
from storage.lake.window_sink import AppendTable


class LakeDecisions:
    """Decisions on the letters of one dead-letter topic."""

    def __init__(self, lake_root: Path, topic: str) -> None:
        self._root = lake_root
        self._topic = topic
        self._table: AppendTable | None = None
        self._number = 0

    def known(self) -> Mapping[LetterId, Decision]:
        """Raises TryAgain where the lake cannot be read."""
        path = LETTER_DECISIONS.path(self._root)
        if self._table is None and not DeltaTable.is_deltatable(str(path)):
            return {}
        table = self._opened()
        try:
            table.refresh()
            self._number = table.version_of(self._application) or 0
            rows = table.rows()
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise TryAgain(f"the decisions on dead letters in {path} cannot be read: {error}") from error
        mine = [_decision(row) for row in rows.to_pylist() if row["topic"] == self._topic]
        return {decision.letter: decision for decision in mine}

    def add(self, decisions: Sequence[Decision]) -> None:
        """One commit. Raises TryAgain where another decided since `known`, with nothing stored."""
        rows = pa.Table.from_pylist([self._row(decision) for decision in decisions], schema=LETTER_DECISIONS.schema)
        table = self._opened()
        try:
            if (table.version_of(self._application) or 0) != self._number:
                raise Fenced(f"{table.name} was made or moved meanwhile")
            table.append(rows, [Transaction(self._application, self._number + 1)])
        except Fenced as error:
            raise TryAgain("somebody else decided on dead letters at this moment; look again") from error
        self._number += 1

    @property
    def _application(self) -> str:
        return f"letters/{self._topic}"

    def _opened(self) -> AppendTable:
        if self._table is None:
            self._table = AppendTable(self._root, LETTER_DECISIONS)
        return self._table

    def _row(self, decision: Decision) -> dict[str, Any]:
        return {
            "topic": self._topic,
            "partition": decision.letter.partition,
            "offset": decision.letter.offset,
            "action": decision.action,
            "by": decision.by,
            "why": decision.why,
            "decided_at": decision.decided_at,
            "target_partition": decision.partition,
            "key": decision.key,
            "patch": decision.patch,
            "date": decision.decided_at.date(),
        }


def _decision(row: Mapping[str, Any]) -> Decision:
    return Decision(
        letter=LetterId(row["partition"], row["offset"]),
        action=row["action"],
        by=row["by"],
        why=row["why"],
        decided_at=row["decided_at"],
        partition=row["target_partition"],
        key=row["key"],
        patch=row["patch"],
    )
