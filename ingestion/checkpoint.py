"""Where a partition stands: its position and all that later readings still depend on. Values and their bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from ingestion.errors import InvalidInput
from ingestion.freshness import Minutes


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """What became of the partition's readings since its first: exact, as they are committed with the position.

    Of hopping windows a reading counts once for each window that it lies in.

    accepted      readings counted into a window
    corrections   those of them that came after it had closed
    late          readings written to `late_readings`
    duplicates    readings dropped because the same (sensor_id, event_time, sequence) was counted already
    windows       rows written to `windows`, corrections of windows included
    dead_letters  by reason: readings (a message that could not be decoded counts as one)
    """

    accepted: int = 0
    late: int = 0
    duplicates: int = 0
    windows: int = 0
    corrections: int = 0
    dead_letters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One partition's progress, as pages and the API show it.

    next_offset     the first offset not yet folded
    watermark_min   the least watermark of the partition's machines; None before the first reading
    watermark_max   the greatest
    last_commit_at  wall-clock time of the commit
    machines        machines seen
    open_windows    windows (one per sensor) that have not closed
    freshness       how soon closed windows were readable, of the commits before this one
    """

    partition: int
    next_offset: int
    counters: Counters
    watermark_min: datetime | None
    watermark_max: datetime | None
    last_commit_at: datetime | None
    machines: int
    open_windows: int
    freshness: Minutes = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One partition's committed position and its state (bytes that only the aggregator reads)."""

    partition: int
    next_offset: int
    state: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What the bytes of a checkpoint hold.

    kind      of the windows, with their lengths
    key       columns that part the readings
    windows   one row per window that is open or can be corrected: its keys and the states of all aggregates
    machines  one row per machine: its greatest event time, and up to where its windows are closed, for silence or by
              its clock, and settled
    keys      one row per key of which more is known than its windows; of older states without columns
    """

    head: Progress
    kind: str
    windows: pa.Table
    machines: pa.Table
    key: Sequence[str] = ("machine_id", "sensor_id")
    keys: pa.Table = field(default_factory=lambda: pa.table({}))


_FORMAT = "tidemill-stream-state/1"


def pack(state: State) -> bytes:
    """The state as an Arrow IPC stream of one row: tables, each an IPC stream of its own; the head as metadata."""
    head = asdict(state.head)
    for name in ("watermark_min", "watermark_max", "last_commit_at"):
        head[name] = head[name].isoformat() if head[name] else None
    tables = {"windows": state.windows, "machines": state.machines, "keys": state.keys}
    schema = pa.schema(
        [pa.field(name, pa.binary()) for name in tables],
        metadata={"format": _FORMAT, "kind": state.kind, "key": json.dumps(list(state.key)), "head": json.dumps(head)},
    )
    row = pa.record_batch([pa.array([_bytes_of(table)]) for table in tables.values()], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(row)
    return bytes(sink.getvalue())


def unpack(data: bytes) -> State:
    """What `pack` gave. Raises InvalidInput where the bytes are of another format."""
    with pa.ipc.open_stream(data) as stream:
        metadata = _metadata(stream.schema)
        row = stream.read_next_batch()
    tables = {name: _table_of(row.column(name)[0].as_buffer()) for name in row.schema.names}
    if "kind" not in metadata:  # from before there were other windows and keys
        return State(head=_head(metadata), kind=f"tumbling {metadata['size_us']}", **tables)
    return State(head=_head(metadata), kind=metadata["kind"], key=json.loads(metadata["key"]), **tables)


def read_head(data: bytes) -> Progress:
    """The progress alone, without reading the state."""
    with pa.ipc.open_stream(data) as stream:
        return _head(_metadata(stream.schema))


def annotated(state: bytes, name: str, text: str) -> bytes:
    """The state of a checkpoint with a text beside it, which `unpack` passes over and `annotation` finds."""
    with pa.ipc.open_stream(state) as stream:
        schema, row = stream.schema, stream.read_next_batch()
    schema = schema.with_metadata({**(schema.metadata or {}), name.encode(): text.encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as written:
        written.write_batch(row.replace_schema_metadata(schema.metadata))
    return bytes(sink.getvalue())


def annotation(state: bytes, name: str) -> str | None:
    """What `annotated` put beside the state under this name."""
    with pa.ipc.open_stream(state) as stream:
        return _metadata(stream.schema).get(name)


def _metadata(schema: pa.Schema) -> dict[str, str]:
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    if metadata.get("format") != _FORMAT:
        raise InvalidInput(f"stream state of format {metadata.get('format')!r}; this version reads {_FORMAT!r}")
    return metadata


def _head(metadata: Mapping[str, str]) -> Progress:
    head = json.loads(metadata["head"])
    for name in ("watermark_min", "watermark_max", "last_commit_at"):
        head[name] = datetime.fromisoformat(head[name]) if head[name] else None
    head["counters"] = Counters(**head["counters"])
    # a JSON object's keys are texts
    head["freshness"] = {
        int(minute): {int(part): rows for part, rows in parts.items()}
        for minute, parts in head.get("freshness", {}).items()
    }
    return Progress(**head)


def _bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _table_of(data: Any) -> pa.Table:
    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_microseconds(moment_us: int) -> datetime:
    """A moment given as microseconds since the Unix epoch."""
    return _EPOCH + timedelta(microseconds=moment_us)
