"""A real stream worker as a process, and what it has stored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from deltalake import DeltaTable
from kafka import KafkaConsumer, TopicPartition

from infra.settings import Settings
from infra.wiring.built_in_stream import stream_progress
from ingestion.checkpoint import Progress
from ingestion.kafka.topics import TopicAdmin, topic_specs


@dataclass
class StreamStack:
    """Topics of one test on the session's broker, a home for a lake, and workers on them. `close` ends them all."""

    bootstrap: str
    home: Path
    topic: str
    partitions: int = 4
    window_seconds: float = 10.0
    allowed_lateness_seconds: float = 5.0
    correction_lateness_seconds: float = 0.0
    idle_timeout_seconds: float = 3600.0
    commit_interval_seconds: float = 0.2
    session_seconds: float = 30.0
    through: str | None = None
    """What workers connect to in place of the broker: a proxy before it."""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TIDEMILL_HOME": str(self.home),
            "TIDEMILL_KAFKA_BOOTSTRAP": self.through or self.bootstrap,
            "TIDEMILL_READINGS_TOPIC": self.topic,
            "TIDEMILL_ALERTS_TOPIC": f"{self.topic}-alerts",
            "TIDEMILL_PARTITIONS": str(self.partitions),
            "TIDEMILL_WINDOW_SECONDS": str(self.window_seconds),
            "TIDEMILL_ALLOWED_LATENESS_SECONDS": str(self.allowed_lateness_seconds),
            "TIDEMILL_CORRECTION_LATENESS_SECONDS": str(self.correction_lateness_seconds),
            "TIDEMILL_IDLE_TIMEOUT_SECONDS": str(self.idle_timeout_seconds),
            "TIDEMILL_COMMIT_INTERVAL_SECONDS": str(self.commit_interval_seconds),
            "TIDEMILL_SESSION_SECONDS": str(self.session_seconds),
        }

    @property
    def settings(self) -> Settings:
        fields = {name.removeprefix("TIDEMILL_").lower(): value for name, value in self.environment.items()}
        return Settings.model_validate(fields)

    @property
    def readiness(self) -> Path:
        return self.home / "run" / "stream.json"

    @property
    def log(self) -> str:
        path = self.home / "stream.log"
        return path.read_text() if path.exists() else ""

    def create_topics(self) -> None:
        with TopicAdmin(self.bootstrap) as admin:
            admin.ensure(topic_specs(self.settings.stream.topics))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker; returns before it is ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.readiness.unlink(missing_ok=True)
        with (self.home / "stream.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "infra.cli.main", "stream", "run", *arguments],
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def wait_ready(self, worker: subprocess.Popen[bytes], limit: float = 180.0) -> None:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            assert worker.poll() is None, f"the worker ended with {worker.returncode}:\n{self.log[-3000:]}"
            if self.readiness.exists() and json.loads(self.readiness.read_text())["pid"] == worker.pid:
                return
            time.sleep(0.02)
        raise AssertionError(f"the worker was not ready within {limit} s:\n{self.log[-3000:]}")

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=60)

    def stop(self, worker: subprocess.Popen[bytes]) -> int:
        worker.terminate()
        return worker.wait(timeout=120)

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                self.kill(worker)

    def progress(self) -> dict[int, Progress]:
        return dict(stream_progress(self.settings))

    def wait_committed(self, limit: float = 180.0, *, closed: bool = False) -> dict[int, Progress]:
        """Until every message of the topic is committed; with `closed`, until no window is open any more, too."""
        with TopicAdmin(self.bootstrap) as admin:
            ends = {p: end for p, end in admin.end_offsets(self.topic).items() if end}
        deadline = time.monotonic() + limit
        found: dict[int, Progress] = {}
        while time.monotonic() < deadline:
            found = self.progress()
            if all(
                p in found and found[p].next_offset == end and not (closed and found[p].open_windows)
                for p, end in ends.items()
            ):
                return found
            for worker in self.workers[-1:]:
                assert worker.poll() is None, f"the worker ended with {worker.returncode}:\n{self.log[-3000:]}"
            time.sleep(0.1)
        raise AssertionError(f"waited {limit} s for {ends}, the lake stands at {found}:\n{self.log[-3000:]}")

    def rows(self, table: str, order: Sequence[str]) -> list[dict[str, Any]]:
        """A lake table's rows but for the topic's name, which differs from test to test."""
        path = self.home / "lake" / table
        if not DeltaTable.is_deltatable(str(path)):
            return []
        held: pa.Table = DeltaTable(path).to_pyarrow_table().drop_columns(["topic", "date"])
        return held.sort_by([(name, "ascending") for name in order]).to_pylist()

    def windows(self) -> list[dict[str, Any]]:
        return self.rows("windows", ["machine_id", "sensor_id", "window_start"])

    def late(self) -> list[dict[str, Any]]:
        return self.rows("late_readings", ["partition", "offset", "sensor_id", "event_time", "value"])

    def dead_letters(self, topic: str | None = None) -> list[dict[str, Any]]:
        """Every letter of a dead-letter topic, in order of partition and offset; headers as text."""
        topic = topic or f"{self.topic}-dead-letters"
        consumer = KafkaConsumer(
            bootstrap_servers=[self.bootstrap], enable_auto_commit=False, max_partition_fetch_bytes=30_000_000
        )
        try:
            where = [TopicPartition(topic, partition) for partition in range(self.partitions)]
            ends = consumer.end_offsets(where)
            letters = []
            for partition in where:
                consumer.assign([partition])
                consumer.seek_to_beginning(partition)
                deadline = time.monotonic() + 90
                while consumer.position(partition) < ends[partition]:
                    assert time.monotonic() < deadline, f"{partition} was not read within 90 s"
                    for records in consumer.poll(timeout_ms=1000).values():
                        letters += records
        finally:
            consumer.close()
        return [
            {
                "partition": record.partition,
                "key": record.key,
                "value": record.value,
                **{name: held.decode() for name, held in record.headers},
            }
            for record in letters
        ]


@contextmanager
def stream_stack(bootstrap: str, home: Path, name: str, **settings: Any) -> Iterator[StreamStack]:
    """A stack on fresh topics, whose names begin with `name`; its workers are ended in the end."""
    stack = StreamStack(bootstrap=bootstrap, home=home, topic=f"{name}-{uuid4().hex[:8]}", **settings)
    stack.create_topics()
    try:
        yield stack
    finally:
        stack.close()
