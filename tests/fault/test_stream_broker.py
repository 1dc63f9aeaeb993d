"""The broker goes away under the stream and comes back: nothing is lost, doubled or taken for silence."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.stream_process import StreamStack

pytestmark = [pytest.mark.stack, pytest.mark.fault]

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def readings(begin: int, end: int) -> list[Reading]:
    return [
        Reading(
            machine_id=f"pump-{machine}",
            sensor_id=f"pump-{machine}/flow",
            event_time=ORIGIN + timedelta(seconds=second),
            value=float(second),
        )
        for second in range(begin, end)
        for machine in range(6)
    ]


@pytest.mark.timeout(600)
def test_the_stream_goes_on_when_the_broker_is_back() -> None:
    home = Path(tempfile.mkdtemp(prefix="tidemill-test-"))
    home.chmod(0o755)
    port, controller_port = free_ports(2)
    broker = KafkaBroker(home, port=port, controller_port=controller_port)
    broker.start(limit=180)
    stack = StreamStack(bootstrap=broker.bootstrap, home=home / "stack", topic="readings", idle_timeout_seconds=8.0)
    try:
        stack.create_topics()
        worker = stack.start()
        stack.wait_ready(worker)
        with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
            publisher.publish(to_record_batch(readings(0, 45)), "json")
        stack.wait_committed()

        broker.stop()
        time.sleep(12)  # longer than the silence that closes windows
        broker = KafkaBroker(home, port=port, controller_port=controller_port)
        broker.start(limit=180)

        with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
            publisher.publish(to_record_batch(readings(45, 126)), "json")
        stack.wait_committed(limit=180)
        assert worker.poll() is None, "it had to ride out the broker's absence in one life"
        rows = stack.windows()
        assert [row["count"] for row in rows] == [10] * 72
        assert stack.late() == []
    finally:
        stack.close()
        broker.stop()
        shutil.rmtree(home, ignore_errors=True)
