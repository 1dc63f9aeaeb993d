"""States: of older stacks they go on, and what a shape cannot go on with is refused with the mend."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingestion.aggregates.spec import AggregateSpec
from ingestion.aggregator import Aggregator
from ingestion.checkpoint import Checkpoint, unpack
from ingestion.errors import InvalidInput
from ingestion.reading import Reading, to_record_batch
from ingestion.shape import WindowShape
from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
S = timedelta(seconds=1)
TUMBLING = WindowShape(window=TumblingWindow(size=10 * S, correction_lateness=60 * S))


def readings(*seconds: int) -> pa.RecordBatch:
    return to_record_batch(
        Reading(machine_id="m", sensor_id="m/s", event_time=ORIGIN + s * S, value=s / 3, unit="bar", sequence=s)
        for s in seconds
    )


def stored(shape: WindowShape, *seconds: int) -> Checkpoint:
    aggregator = Aggregator(shape, "t", 0)
    aggregator.fold(readings(*seconds), np.arange(len(seconds)))
    return aggregator.save(len(seconds), NOW)


def as_before_kinds(checkpoint: Checkpoint) -> Checkpoint:
    """The same in the layout of stacks that knew tumbling windows and the built-in aggregates only."""
    state = unpack(checkpoint.state)
    windows = state.windows.drop_columns(["latest(unit).latest", "latest(unit).latest_offset"])
    windows = windows.append_column("unit", state.windows["latest(unit).latest"])
    with pa.ipc.open_stream(checkpoint.state) as stream:
        metadata = stream.schema.metadata
    del metadata[b"kind"], metadata[b"key"]
    metadata[b"size_us"] = b"10000000"
    schema = pa.schema([("windows", pa.binary()), ("machines", pa.binary())], metadata=metadata)
    row = pa.record_batch([pa.array([_bytes_of(windows)]), pa.array([_bytes_of(state.machines)])], schema=schema)
    return Checkpoint(partition=0, next_offset=checkpoint.next_offset, state=_bytes_of(row))


def _bytes_of(data: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def test_a_state_from_before_there_were_kinds_of_windows_goes_on() -> None:
    checkpoint = stored(TUMBLING, 1, 12, 14, 27)
    rows = []
    for state in (checkpoint, as_before_kinds(checkpoint)):
        aggregator = Aggregator.restored(TUMBLING, "t", state)
        folded = aggregator.fold(readings(15, 14, 3, 61, 62), np.arange(4, 9))
        rows.append([*folded.windows.to_pylist(), *aggregator.close_idle(["m"]).to_pylist()])
    assert rows[0] == rows[1]
    assert [(row["revision"], row["count"], row["unit"]) for row in rows[0]] == [
        (0, 1, "bar"), (1, 2, "bar"), (1, 3, "bar"), (0, 2, "bar"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (TumblingWindow(size=10 * S), TumblingWindow(size=5 * S), "windows of 10 s are open .* says windows of 5 s"),
        (TumblingWindow(size=10 * S), HoppingWindow(size=10 * S, every=5 * S), "says windows of 10 s every 5 s"),
        (SessionWindow(gap=9 * S), SessionWindow(gap=9 * S, max_size=20 * S), "gap of 9 s are open .* less than 20 s"),
    ],
)
def test_windows_of_another_kind_are_refused(before: Window, after: Window, message: str) -> None:
    checkpoint = stored(WindowShape(window=before), 1, 2)
    with pytest.raises(InvalidInput, match=message):
        Aggregator.restored(WindowShape(window=after), "t", checkpoint)


def test_other_keys_and_aggregates_are_refused() -> None:
    window = TumblingWindow(size=10 * S)
    lean = WindowShape(window=window, aggregates=[AggregateSpec(column="n", function="count")])
    checkpoint = stored(lean, 1, 2)
    with pytest.raises(InvalidInput, match=r"windows by machine_id, sensor_id are open .* the key is now machine_id;"):
        Aggregator.restored(WindowShape(window=window, key=["machine_id"], aggregates=lean.aggregates), "t", checkpoint)
    with pytest.raises(InvalidInput, match="folded without total, which an aggregate needs now"):
        more = [*lean.aggregates, AggregateSpec(column="mean", function="mean")]
        Aggregator.restored(WindowShape(window=window, aggregates=more), "t", checkpoint)


def test_with_fewer_aggregates_a_state_goes_on() -> None:
    fewer = WindowShape(window=TUMBLING.window, aggregates=[AggregateSpec(column="n", function="count")])
    aggregator = Aggregator.restored(fewer, "t", stored(TUMBLING, 1, 2, 3))
    assert aggregator.close_idle(["m"])["n"].to_pylist() == [3]


def test_the_state_of_sessions_names_what_was_forgotten() -> None:
    shape = WindowShape(window=SessionWindow(gap=10 * S))
    checkpoint = stored(shape, 1, 20)
    assert json.loads(json.dumps(list(unpack(checkpoint.state).key))) == ["machine_id", "sensor_id"]
    assert unpack(checkpoint.state).keys.num_rows == 1
    folded = Aggregator.restored(shape, "t", checkpoint).fold(readings(10), np.arange(2, 3))
    assert folded.late["offset"].to_pylist() == [2]


def test_a_floor_outlives_its_sessions() -> None:
    shape = WindowShape(window=SessionWindow(gap=10 * S))
    aggregator = Aggregator(shape, "t", 0)
    mine, other = readings(0), readings(10).set_column(1, "sensor_id", pa.array(["m/other"]))
    closed = [aggregator.fold(batch, np.array([offset])).windows for offset, batch in enumerate((mine, other))]
    assert pa.concat_tables(closed)["sensor_id"].to_pylist() == ["m/s"]
    again = Aggregator.restored(shape, "t", aggregator.save(2, NOW))
    assert again.fold(readings(5), np.array([2])).late["offset"].to_pylist() == [2]
