"""Bytewax with its own windows: fold_window on event time, one worker, until the topic's end."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as windowing
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main
from result import Start, Windows, started, told, write

bootstrap, name, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=10)
windows: Windows = {}
began: Start | None = None


def decode(message):  # type: ignore[no-untyped-def]
    global began
    if not began:
        began = started()
    reading = orjson.loads(message.value)
    return reading["sensor_id"], (datetime.fromisoformat(reading["event_time"]), reading["value"])


def added(held, reading):  # type: ignore[no-untyped-def]
    value = reading[1]
    return (held[0] + 1, held[1] + value, min(held[2], value), max(held[3], value))


class Keep(StatelessSinkPartition):
    def write_batch(self, items):  # type: ignore[no-untyped-def]
        for sensor, (window, held) in items:
            windows[(sensor, int(window) * 10_000_000)] = list(held)


class KeepAll(DynamicSink):
    def build(self, step_id, worker_index, worker_count):  # type: ignore[no-untyped-def]
        return Keep()


flow = Dataflow("bench")
source = op.input("in", flow, KafkaSource([bootstrap], [name], tail=False, batch_size=10_000))
readings = op.map("decode", source, decode)
folded = windowing.fold_window(
    "fold",
    readings,
    # its watermark runs on with the clock on the wall, while other partitions are read
    windowing.EventClock(ts_getter=lambda reading: reading[0], wait_for_system_duration=timedelta(minutes=30)),
    windowing.TumblingWindower(length=WINDOW, align_to=EPOCH),
    lambda: (0, 0.0, float("inf"), float("-inf")),
    added,
    lambda a, b: (a[0] + b[0], a[1] + b[1], min(a[2], b[2]), max(a[3], b[3])),
    ordered=False,
)
op.output("out", folded.down, KeepAll())
cluster_main(flow, [], 0)
write(windows, out)
assert began is not None
told(began)
