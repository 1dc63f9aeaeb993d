"""The Faust app of the stream worker: settings, the topic, the transport. `run` is the process."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import faust
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from yarl import URL

from ingestion.pipeline import Pipeline
from ingestion.settings import StreamSettings
from ingestion.stream import compression, fetching
from ingestion.stream.transport import BatchHandler, BatchTransport

LARGEST_PARTITION_FETCH = 2 * 1024 * 1024
"""Bytes of one partition in an answer of the broker, as they lie there: compressed."""


class _ConsumerOnly(BootStrategy):
    # without a producer Faust needs no second connection and no writable cluster
    enable_kafka_producer = False


class _NoTables(TableManager):
    """Starts at once: the stock manager first gives tables a second to register."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class StreamApp(faust.App):
    """A Faust app without agents, tables and producer."""

    BootStrategy = _ConsumerOnly


def build(
    settings: StreamSettings,
    bootstrap: str,
    handler: BatchHandler,
    *,
    member: str,
    web_port: int | None,
    data_folder: Path,
    on_assigned: Callable[[Sequence[int]], None],
) -> faust.App:
    """The app that feeds `handler`.

    member  names this worker in its group. A worker that comes back under the same name gets its partitions at once,
            and a forgotten one of that name is shut out; two workers at the same time need two names.
    """
    compression.install()
    fetching.install()
    session = settings.session_timeout.total_seconds()
    app = StreamApp(
        settings.group_id,
        broker=[URL(f"kafka://{address}") for address in bootstrap.split(",")],
        datadir=data_folder,
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=web_port is not None,
        web_port=web_port or 6066,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        worker_redirect_stdouts=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=member,
        consumer_max_fetch_size=LARGEST_PARTITION_FETCH,
        broker_session_timeout=session,
        broker_heartbeat_interval=min(3.0, session / 3),
        broker_request_timeout=90.0,
        broker_check_crcs=True,
        stream_wait_empty=False,
        TableManager=_NoTables,
    )
    transport = BatchTransport(app.conf.broker_consumer, app)
    transport.handler = handler
    transport.topic = settings.topics.readings
    transport.on_assigned = on_assigned
    # by age, so that a step of the wall clock is forgotten at once
    transport.monotonic_of = lambda milliseconds: time.monotonic() - max(0.0, time.time() - milliseconds / 1000)
    app.transport = transport
    # subscribes; nothing reads the channel, the transport's consumer is the reader
    app.topics.add(app.topic(settings.topics.readings, value_type=bytes))
    return app


def run(
    settings: StreamSettings,
    bootstrap: str,
    pipeline: Pipeline,
    *,
    member: str,
    web_port: int | None,
    data_folder: Path,
    readiness: Path,
) -> None:
    """Run the worker until it is told to stop (SIGTERM, SIGINT) or fails; does not return.

    The process should be lean by then (`ingestion.stream.lean_process`): that comes before the lake is loaded.

    `readiness` is written after the first assignment, once the lake's positions have been sought.
    """
    readiness.unlink(missing_ok=True)
    data_folder.mkdir(parents=True, exist_ok=True)

    def ready(partitions: Sequence[int]) -> None:
        told = {
            "ready": True,
            "pid": os.getpid(),
            "partitions": list(partitions),
            "web_port": web_port,
            "since": datetime.now(UTC).isoformat(),
        }
        readiness.parent.mkdir(parents=True, exist_ok=True)
        draft = readiness.with_suffix(".tmp")
        draft.write_text(json.dumps(told))
        draft.replace(readiness)

    app = build(
        settings,
        bootstrap,
        pipeline,
        member=member,
        web_port=web_port,
        data_folder=data_folder,
        on_assigned=ready,
    )
    worker = faust.Worker(app, loglevel=logging.INFO, quiet=True)
    worker.execute_from_commandline()
