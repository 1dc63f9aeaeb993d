"""What a defined stream does to readings before they are folded: further fields, joins, derived columns, a filter.

The built-in stream has none of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.checkpoint import annotated, annotation
from ingestion.definition import StreamDefinition
from ingestion.errors import InvalidInput
from ingestion.extra_fields import with_fields
from ingestion.intake import Intake
from ingestion.records import Record

_STATIC, _DEFINITION = "static_version", "definition"


class Prepared(NamedTuple):
    """The readings that go on, in offset order, with their joined and derived columns."""

    readings: pa.RecordBatch
    offsets: npt.NDArray[np.int64]


class RowPreparation(Protocol):
    """Joins, derived columns and the filter of one definition: of the same readings and version the same answer."""

    def version(self) -> str:
        """The newest version of the static data that is joined, empty where none is. What it names is kept for good.

        Raises TryAgain where none was ever read and the database is away.
        """

    def prepare(self, readings: pa.RecordBatch, offsets: npt.NDArray[np.int64], version: str) -> Prepared:
        """The readings (the definition's `message_columns`) prepared with that version of the static data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What one definition does between decoding and folding, and what of it is part of a partition's state.

    A commit says which version of the static data the readings after it are joined with: whoever reads them again,
    after a crash, joins them with the same. A partition takes up a newer version with a commit only.
    """

    definition: StreamDefinition
    rows: RowPreparation | None

    def version_of(self, state: bytes | None) -> str:
        """What the readings after a commit are joined with; the newest where there was no commit.

        Raises InvalidInput where the state was kept for another definition.
        """
        if state is None:
            return self.newest()
        self.check(state)
        known = annotation(state, _STATIC)
        return known if known is not None else self.newest()

    def check(self, state: bytes) -> None:
        """Raises InvalidInput where the state was kept for another definition."""
        found = annotation(state, _DEFINITION)
        if found is not None and found != self.definition.fingerprint:
            raise InvalidInput(other_definition(self.definition))

    def newest(self) -> str:
        return self.rows.version() if self.rows is not None else ""

    def written_into(self, state: bytes, version: str) -> bytes:
        return annotated(annotated(state, _DEFINITION, self.definition.fingerprint), _STATIC, version)

    def prepare(self, partition: int, messages: Iterable[Record], intake: Intake, version: str) -> Intake:
        """The intake of these messages with the definition's columns, without the readings that are filtered out."""
        if self.definition.fields:
            intake = with_fields(partition, messages, intake, self.definition)
        if self.rows is None or intake.readings.num_rows == 0:
            return intake
        prepared = self.rows.prepare(intake.readings, intake.offsets, version)
        return replace(intake, readings=prepared.readings, offsets=prepared.offsets)


def other_definition(definition: StreamDefinition) -> str:
    """How a state that belongs to another definition of the same name is told, and the mend."""
    name = definition.name
    return (
        f"stream {name} has windows in table {definition.table} that another definition made: its fields, joins, "
        "filter, derived columns, key, windows or aggregates have changed. Give the changed one another name (and "
        f"table), put the old one back, or delete all that it has made with `tidemill stream reset {name}`"
    )
