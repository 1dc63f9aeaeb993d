"""The dict of windows that the peers fold into, and the file that all of them write."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

WINDOW_US = 10_000_000

Windows = dict[tuple[str, int], list[float]]
"""(sensor_id, window start in microseconds) -> [count, sum, min, max]"""


class Start(NamedTuple):
    """When the first message was there: by the clock, and in CPU seconds of this process."""

    wall: float
    cpu: float


def started() -> Start:
    return Start(time.perf_counter(), time.process_time())


def told(start: Start) -> None:
    """Say what it took since then, in the form that `throughput.py` looks for."""
    seconds, cpu = time.perf_counter() - start.wall, time.process_time() - start.cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu}), flush=True)


def microseconds(text: str) -> int:
    """Of an RFC 3339 time of UTC, since 1970; whole seconds and fractions."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def fold(windows: Windows, reading: dict[str, Any]) -> None:
    value = reading["value"]
    event = microseconds(reading["event_time"])
    key = (reading["sensor_id"], event - event % WINDOW_US)
    held = windows.get(key)
    if held is None:
        windows[key] = [1, value, value, value]
        return
    held[0] += 1
    held[1] += value
    if value < held[2]:
        held[2] = value
    if value > held[3]:
        held[3] = value


def write(windows: Windows, path: str) -> None:
    table = pa.table(
        {
            "sensor_id": [sensor for sensor, _ in windows],
            "window_start": [start for _, start in windows],
            "count": [int(held[0]) for held in windows.values()],
            "mean": [held[1] / held[0] for held in windows.values()],
            "min": [held[2] for held in windows.values()],
            "max": [held[3] for held in windows.values()],
        }
    )
    pq.write_table(table, path)
