"""The rows that follow from a shape."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from ingestion.aggregates.spec import READING_COLUMNS, AggregateSpec
from ingestion.shape import WindowShape, late_schema, window_schema
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA, TumblingWindow

WINDOW = TumblingWindow(size=timedelta(seconds=10))


def test_the_built_in_shape_has_the_built_in_rows() -> None:
    assert WindowShape(window=WINDOW).schema == WINDOW_SCHEMA
    assert WindowShape(window=WINDOW).late_schema == LATE_SCHEMA


def test_the_rows_of_a_declared_shape() -> None:
    columns = {**READING_COLUMNS, "mode": pa.string(), "cycles": pa.int64()}
    specs = [
        AggregateSpec(column="n", function="count", of="mode"),
        AggregateSpec(column="began", function="first", of="mode"),
        AggregateSpec(column="most", function="max", of="cycles"),
        AggregateSpec(column="mean", function="mean"),
        AggregateSpec(column="slope", function="rate"),
    ]
    schema = window_schema(("machine_id", "site"), specs, columns)
    assert schema.names == [
        "machine_id", "site", "window_start", "window_end", "n", "began", "most", "mean", "slope",
        "topic", "partition", "first_offset", "last_offset", "revision",
    ]  # fmt: skip
    assert [schema.field(name).type for name in ("n", "began", "most")] == [pa.int64(), pa.string(), pa.int64()]
    assert [name for name in schema.names if schema.field(name).nullable] == ["began", "most", "slope", "revision"]
    late = late_schema(("machine_id", "site"), specs, columns)
    assert late.names == [
        "machine_id", "sensor_id", "event_time", "value", "unit", "sequence", "site", "mode", "cycles",
        "window_start", "watermark", "topic", "partition", "offset",
    ]  # fmt: skip


@pytest.mark.parametrize("key", [(), ("sensor_id",), ("machine_id", "site", "site")])
def test_keys_that_are_none(key: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="key"):
        WindowShape(window=WINDOW, key=key)
