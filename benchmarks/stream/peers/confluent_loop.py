"""A plain loop on confluent-kafka: 10,000 messages at a time, orjson, a dict."""

from __future__ import annotations

import sys
import uuid

import orjson
from confluent_kafka import Consumer
from result import Start, Windows, fold, started, told, write

bootstrap, topic, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": f"bench-{uuid.uuid4()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
consumer.subscribe([topic])
windows: Windows = {}
seen = 0
began: Start | None = None
while seen < messages:
    batch = consumer.consume(10_000, timeout=1.0)
    if batch and not began:
        began = started()
    for message in batch:
        if message.error():
            sys.exit(str(message.error()))
        fold(windows, orjson.loads(message.value()))
    seen += len(batch)
write(windows, out)
assert began is not None
told(began)
consumer.close()
