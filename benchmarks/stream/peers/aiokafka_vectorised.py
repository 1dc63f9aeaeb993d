"""Plain aiokafka: getmany, messages of many readings, folded by Arrow. No Faust, no checks, no exactly-once.

Runs in tidemill's own environment.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer
from result import WINDOW_US, Start, started, told

from ingestion.stream import compression

compression.install()  # lz4 by the package that is there anyway
bootstrap, name, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


class Reading(msgspec.Struct):
    sensor_id: str
    event_time: str
    value: float


class Columns(msgspec.Struct):
    sensor_id: list[str]
    event_time: list[str]
    value: list[float]


rows, columns = msgspec.json.Decoder(Reading), msgspec.json.Decoder(Columns)


def decoded(values: list[bytes]) -> pa.Table:
    """sensor_id, event_time in microseconds, value."""
    if values[0][:4] == b"\xff\xff\xff\xff":
        parts = []
        for value in values:
            with pa.ipc.open_stream(pa.py_buffer(value)) as stream:
                parts += [batch.select(["sensor_id", "event_time", "value"]) for batch in stream]
        table = pa.Table.from_batches(parts)
        return table.set_column(1, "event_time", table["event_time"].cast(pa.int64()))
    if b"\n{" in values[0]:
        readings = [reading for value in values for reading in rows.decode_lines(value)]
        sensor, time, value = zip(*[(r.sensor_id, r.event_time, r.value) for r in readings], strict=True)
    else:
        found = [columns.decode(value) for value in values]
        sensor, time, value = (
            [one for part in found for one in getattr(part, name)] for name in ("sensor_id", "event_time", "value")
        )
    event = pa.array(time, pa.string()).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return pa.table({"sensor_id": pa.array(sensor, pa.string()), "event_time": event, "value": pa.array(value)})


def folded(values: list[bytes]) -> pa.Table:
    """Partial windows of some messages."""
    table = decoded(values)
    start = pc.multiply(pc.divide(table["event_time"], WINDOW_US), WINDOW_US)
    keyed = pa.table({"sensor_id": table["sensor_id"], "window_start": start, "value": table["value"]})
    return keyed.group_by(["sensor_id", "window_start"], use_threads=False).aggregate(
        [("value", "count"), ("value", "sum"), ("value", "min"), ("value", "max")]
    )


async def main() -> None:
    consumer = AIOKafkaConsumer(
        name,
        bootstrap_servers=bootstrap,
        group_id=f"bench-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        session_timeout_ms=120_000,  # on a busy machine a fold delays heartbeats
    )
    await consumer.start()
    seen = 0
    began: Start | None = None
    parts: list[pa.Table] = []
    while seen < messages:
        found = await consumer.getmany(timeout_ms=1000, max_records=20_000)
        if found and not began:
            began = started()
        values = [record.value for records in found.values() for record in records]
        seen += len(values)
        if values:
            parts.append(folded(values))
    whole = (
        pa.concat_tables(parts)
        .group_by(["sensor_id", "window_start"], use_threads=False)
        .aggregate([("value_count", "sum"), ("value_sum", "sum"), ("value_min", "min"), ("value_max", "max")])
    )
    count, total = whole["value_count_sum"], whole["value_sum_sum"]
    table = pa.table(
        {
            "sensor_id": whole["sensor_id"],
            "window_start": whole["window_start"],
            "count": count,
            "mean": pc.divide(total, count.cast(pa.float64())),
            "min": whole["value_min_min"],
            "max": whole["value_max_max"],
        }
    )
    pq.write_table(table, out)
    assert began is not None
    told(began)
    await consumer.stop()


asyncio.run(main())
