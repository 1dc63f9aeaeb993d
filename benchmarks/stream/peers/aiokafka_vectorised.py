"""Plain aiokafka: getmany, Arrow messages of many readings, folded with numpy. No Faust, no exactly-once.

Runs in tidemill's own environment.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer
from result import WINDOW_US, told

from ingestion.stream import compression

compression.install()  # lz4 by the package that is there anyway
bootstrap, name, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


def folded(values: list[bytes]) -> pa.Table:
    """Partial windows of some messages."""
    parts = []
    for value in values:
        with pa.ipc.open_stream(pa.py_buffer(value)) as stream:
            parts += [batch.select(["sensor_id", "event_time", "value"]) for batch in stream]
    table = pa.Table.from_batches(parts)
    event = table["event_time"].cast(pa.int64())
    start = pc.multiply(pc.divide(event, WINDOW_US), WINDOW_US)
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
    )
    await consumer.start()
    seen, began = 0, 0.0
    parts: list[pa.Table] = []
    while seen < messages:
        found = await consumer.getmany(timeout_ms=1000, max_records=20_000)
        if found and not began:
            began = time.perf_counter()
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
    told(began)
    await consumer.stop()


asyncio.run(main())
