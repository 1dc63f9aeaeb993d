"""All that folding needs to know of a stream: the kind of its windows, keys, aggregates; and the rows that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ingestion.aggregates.functions import FUNCTIONS
from ingestion.aggregates.spec import BUILT_IN, READING_COLUMNS, AggregateSpec
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA, Window

BUILT_IN_KEY = ("machine_id", "sensor_id")
_FRAME_AFTER_KEY = ("window_start", "window_end")
_FRAME_AT_END = ("topic", "partition", "first_offset", "last_offset", "revision")


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowShape:
    """What the windows of a stream are.

    window      their kind
    key         columns that part the readings: machine_id, whose readings share a watermark, then further columns of
                strings. A null there counts as the empty string
    aggregates  the columns of a row, in their order
    columns     types of the readings' columns that aggregates may be computed of
    """

    window: Window
    key: Sequence[str] = BUILT_IN_KEY
    aggregates: Sequence[AggregateSpec] = tuple(BUILT_IN)
    columns: Mapping[str, pa.DataType] = field(default_factory=lambda: READING_COLUMNS)

    def __post_init__(self) -> None:
        if not self.key or self.key[0] != BUILT_IN_KEY[0]:
            raise ValueError("the key must begin with machine_id: a machine's readings are in one partition")
        if len(set(self.key)) != len(self.key):
            raise ValueError("the key names a column twice")

    @property
    def schema(self) -> pa.Schema:
        """Of the windows' rows."""
        return window_schema(self.key, self.aggregates, self.columns)

    @property
    def late_schema(self) -> pa.Schema:
        """Of the late readings' rows: LATE_SCHEMA, with what else is key or aggregated before the window's start."""
        return late_schema(self.key, self.aggregates, self.columns)


def window_schema(
    key: Sequence[str],
    specs: Sequence[AggregateSpec],
    columns: Mapping[str, pa.DataType] = READING_COLUMNS,
) -> pa.Schema:
    """Key columns, window_start, window_end, the aggregates' columns, where the row came from, revision.

    What is computed of `value` has no nulls, unless the function has none for every window; `value` never is null.
    """
    fields = [pa.field(name, pa.string(), nullable=False) for name in key]
    fields += [WINDOW_SCHEMA.field(name) for name in _FRAME_AFTER_KEY]
    for spec in specs:
        function = FUNCTIONS[spec.function]
        kind = columns[spec.of] if function.result is None else function.result
        is_certain = spec.function == "count" or (spec.of == "value" and function.always)
        fields.append(pa.field(spec.column, kind, nullable=not is_certain))
    return pa.schema([*fields, *(WINDOW_SCHEMA.field(name) for name in _FRAME_AT_END)])


def late_schema(
    key: Sequence[str],
    specs: Sequence[AggregateSpec],
    columns: Mapping[str, pa.DataType] = READING_COLUMNS,
) -> pa.Schema:
    """LATE_SCHEMA, with further key columns and columns that are aggregated before `window_start`."""
    more: dict[str, pa.DataType] = dict.fromkeys(key, pa.string())
    more |= {spec.of: columns[spec.of] for spec in specs}
    at = LATE_SCHEMA.get_field_index("window_start")
    fields = list(LATE_SCHEMA)
    extra = [pa.field(name, kind) for name, kind in more.items() if name not in LATE_SCHEMA.names]
    return pa.schema([*fields[:at], *extra, *fields[at:]])
