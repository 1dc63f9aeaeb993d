"""Pathway: the topic as a static table, windowed and reduced by its engine (Rust), one worker."""

from __future__ import annotations

import sys
import uuid

import pathway as pw
import pyarrow as pa
import pyarrow.parquet as pq
from result import started, told

bootstrap, name, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


class Reading(pw.Schema):
    sensor_id: str
    event_time: str
    value: float


readings = pw.io.kafka.read(
    {"bootstrap.servers": bootstrap, "group.id": f"bench-{uuid.uuid4()}", "auto.offset.reset": "earliest"},
    topic=name,
    schema=Reading,
    format="json",
    mode="static",
)
timed = readings.select(
    sensor_id=pw.this.sensor_id,
    value=pw.this.value,
    window=pw.this.event_time.dt.strptime("%Y-%m-%dT%H:%M:%S%.fZ").dt.timestamp(unit="us") // 10_000_000,
)
folded = timed.groupby(pw.this.sensor_id, pw.this.window).reduce(
    sensor_id=pw.this.sensor_id,
    window=pw.this.window,
    count=pw.reducers.count(),
    total=pw.reducers.sum(pw.this.value),
    min=pw.reducers.min(pw.this.value),
    max=pw.reducers.max(pw.this.value),
)
rows = []
pw.io.subscribe(folded, on_change=lambda key, row, time, is_addition: rows.append((row, is_addition)))
# the engine connects and reads within `run`: its start counts, about a second
began = started()
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
kept = {(row["sensor_id"], row["window"]): row for row, is_addition in rows if is_addition}.values()
table = pa.table(
    {
        "sensor_id": [row["sensor_id"] for row in kept],
        "window_start": [int(row["window"]) * 10_000_000 for row in kept],
        "count": [row["count"] for row in kept],
        "mean": [row["total"] / row["count"] for row in kept],
        "min": [row["min"] for row in kept],
        "max": [row["max"] for row in kept],
    }
)
pq.write_table(table, out)
told(began)
