"""A stream that somebody defined: which readings, prepared how, folded into which windows, into which table. A value.

What a document says is read by `ingestion.definition_document`; the expressions are SQL, which
`storage` checks and runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import pyarrow as pa

from ingestion.aggregates.spec import AggregateSpec
from ingestion.alerts.rules import AlertRule
from ingestion.reading import READING_SCHEMA
from ingestion.shape import WindowShape
from ingestion.window import Window

FieldType = Literal["double", "int64", "string", "bool"]

FIELD_TYPES: Mapping[FieldType, pa.DataType] = {
    "double": pa.float64(),
    "int64": pa.int64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}

LATE_SUFFIX = "_late"
REVISIONS_SUFFIX = "_revisions"
"""`tidemill sql` shows all rows of a stream's table under its name and this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtraField:
    """An optional field of a message beyond those of a reading; null where a message lacks it."""

    name: str
    type: FieldType

    @property
    def arrow_type(self) -> pa.DataType:
        return FIELD_TYPES[self.type]


def message_columns(fields: Sequence[ExtraField]) -> pa.Schema:
    """What a decoded message brings: the reading's columns and the declared fields."""
    return pa.schema(
        [
            *(column.with_nullable(True) for column in READING_SCHEMA),
            *(pa.field(one.name, one.arrow_type) for one in fields),
        ]
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticJoin:
    """A left join with a table of static data, by that table's key.

    on       the stream's column that is looked up
    columns  of the table -> their names in the stream
    """

    table: str
    on: str
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamDefinition:
    """One stream: its own worker, its own table, its own position.

    name        names the worker's group, the state, the log; `[a-z][a-z0-9_]*`
    filter      SQL; readings for which it is true are counted
    derived     column -> SQL over the reading's, joined and earlier derived columns
    columns     types of all columns that a reading has once it is prepared
    key         columns that a window is kept for each distinct value of; begins with machine_id
    table       of the lake; late readings go to `<table>_late`
    """

    name: str
    description: str = ""
    topic: str
    fields: tuple[ExtraField, ...] = ()
    joins: tuple[StaticJoin, ...] = ()
    filter: str | None = None
    derived: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, pa.DataType]
    key: tuple[str, ...]
    window: Window
    aggregates: tuple[AggregateSpec, ...]
    table: str
    alerts: tuple[AlertRule, ...] = ()

    @property
    def late_table(self) -> str:
        return self.table + LATE_SUFFIX

    @property
    def needs_preparation(self) -> bool:
        return bool(self.joins or self.derived or self.filter is not None)

    @property
    def shape(self) -> WindowShape:
        return WindowShape(window=self.window, key=self.key, aggregates=self.aggregates, columns=self.columns)

    @property
    def fingerprint(self) -> str:
        """The same for definitions that may go on from each other's state.

        Description, alerts and latenesses may change while windows are open: they decide nothing about what a window
        holds. The topic and the table need not be in it: the position is kept by topic, in the table.
        """
        told = {
            "fields": {one.name: one.type for one in self.fields},
            "joins": [[one.table, one.on, dict(one.columns)] for one in self.joins],
            "filter": self.filter,
            "derived": list(self.derived.items()),
            "key": self.key,
            "window": _told(self.window),
            "aggregates": [[one.column, one.function, one.of, dict(one.parameters)] for one in self.aggregates],
        }
        text = json.dumps(told, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told(window: Window) -> Mapping[str, int | str]:
    """What decides which readings a window holds: its kind and its lengths, in microseconds."""
    lengths = {name: getattr(window, name, None) for name in ("size", "every", "gap", "max_size")}
    told = {name: value // timedelta(microseconds=1) for name, value in lengths.items() if value is not None}
    return {"type": type(window).__name__, **told}
