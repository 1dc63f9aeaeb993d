"""Faust as its documents show it: a Record, an agent, one event at a time; a dict instead of a (slower) Table.

Needs faust-streaming: runs in tidemill's own environment.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import faust
from result import Start, Windows, fold, started, told, write

from ingestion.stream import compression

compression.install()  # lz4 by the package that is there anyway
bootstrap, name, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
app = faust.App(
    f"bench-{uuid.uuid4()}",
    broker=f"kafka://{bootstrap}",
    datadir=tempfile.mkdtemp(),
    autodiscover=False,
    topic_allow_declare=False,
    topic_disable_leader=True,
    web_enabled=False,
    worker_redirect_stdouts=False,
    consumer_auto_offset_reset="earliest",
)


class Reading(faust.Record, serializer="json"):
    machine_id: str
    sensor_id: str
    event_time: str
    value: float


windows: Windows = {}


@app.agent(app.topic(name, value_type=Reading))
async def count(readings):  # type: ignore[no-untyped-def]
    seen = 0
    began: Start | None = None
    async for reading in readings:
        if not began:
            began = started()
        fold(windows, {"value": reading.value, "event_time": reading.event_time, "sensor_id": reading.sensor_id})
        seen += 1
        if seen == messages:
            write(windows, out)
            told(began)
            os._exit(0)


faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()
