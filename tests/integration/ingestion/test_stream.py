"""Publisher, broker, worker process and lake together: what goes in comes out, counted once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.stream_process import StreamStack

pytestmark = pytest.mark.stack

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NewStack = Callable[..., StreamStack]


@pytest.fixture
def new_stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[NewStack]:
    made: list[StreamStack] = []

    def make(**settings: Any) -> StreamStack:
        stack = StreamStack(
            bootstrap=kafka_bootstrap,
            home=tmp_path / f"home{len(made)}",
            topic=f"stream-{uuid4().hex[:10]}",
            **settings,
        )
        stack.create_topics()
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.close()


def a_reading(
    machine: str, seconds: float, value: float, sequence: int | None = None, unit: str | None = "bar"
) -> Reading:
    return Reading(
        machine_id=machine,
        sensor_id=f"{machine}/flow",
        event_time=ORIGIN + timedelta(seconds=seconds),
        value=value,
        unit=unit,
        sequence=sequence,
    )


@pytest.mark.parametrize("encoding", ["json", "arrow"])
def test_windows_equal_a_plain_computation(new_stack: NewStack, encoding: Any) -> None:
    stack = new_stack()
    random_ = random.Random(3)
    readings = [
        a_reading(f"pump-{machine}", seconds, random_.gauss(10, 3), sequence=seconds)
        for seconds in range(100)
        for machine in range(5)
    ]
    closing = [a_reading(f"pump-{machine}", 1000, 0.0) for machine in range(5)]
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch(readings), encoding)
        publisher.publish(to_record_batch(closing), encoding)
    stack.wait_ready(stack.start())
    stack.wait_committed()

    expected: dict[tuple[str, datetime], list[float]] = {}
    for reading in readings:
        second = int((reading.event_time - ORIGIN).total_seconds())
        expected.setdefault((reading.machine_id, ORIGIN + timedelta(seconds=second // 10 * 10)), []).append(
            reading.value
        )
    windows = stack.windows()
    assert {(row["machine_id"], row["window_start"]) for row in windows} == expected.keys()
    for row in windows:
        values = expected[row["machine_id"], row["window_start"]]
        assert row["count"] == len(values)
        assert row["mean"] == sum(values) / len(values)
        assert (row["min"], row["max"], row["last"]) == (min(values), max(values), values[-1])
        assert row["median"] == pytest.approx(sorted(values)[len(values) // 2 - 1], rel=1e-3)
        assert row["unit"] == "bar"
    shown = [sys.executable, "-m", "infra.cli.main", "stream", "show"]
    environment = os.environ | stack.environment
    as_json = subprocess.run([*shown, "-o", "json"], env=environment, capture_output=True, check=True, timeout=240)
    assert sum(row["windows"] for row in json.loads(as_json.stdout)) == len(windows)
    as_table = subprocess.run(shown, env=environment, capture_output=True, check=True, timeout=240, text=True)
    assert as_table.stdout.splitlines()[0].split()[:3] == ["partition", "next_offset", "accepted"]


def test_poison_is_dead_lettered_with_its_reason_and_the_stream_goes_on(new_stack: NewStack) -> None:
    stack = new_stack(partitions=2, idle_timeout_seconds=1.0)
    good = a_reading("pump-1", 5, 2.0)
    as_json = json.loads(encode_reading(good))
    far = datetime.now(UTC) + timedelta(days=1)
    nan = a_reading("pump-1", 6, float("nan"))
    batch = encode_batch(to_record_batch([a_reading("pump-1", 7, 3.0), nan, a_reading("pump-1", 8, 4.0), nan]))
    poison: list[tuple[str, bytes | None, bytes]] = [
        ("bad_json", b"pump-1", b'{"machine_id": "pump-1", '),
        ("bad_json", b"pump-1", encode_reading(good).replace(b"2.0", b"NaN")),
        ("not_finite", b"pump-1", encode_reading(good).replace(b"2.0", b"1e999")),
        ("wrong_type", b"pump-1", encode_reading(good).replace(b"2.0", b'"high"')),
        ("missing_field", b"pump-1", json.dumps({n: v for n, v in as_json.items() if n != "value"}).encode()),
        ("bad_time", b"pump-1", encode_reading(good).replace(b"Z", b"")),
        ("ancient_time", b"pump-1", json.dumps(as_json | {"event_time": "1970-01-01T00:00:00Z"}).encode()),
        ("future_time", b"pump-1", json.dumps(as_json | {"event_time": "2999-01-01T00:00:00Z"}).encode()),
        ("future_time", b"pump-1", json.dumps(as_json | {"event_time": far.isoformat()}).encode()),
        ("invalid_utf8", b"pump-1", encode_reading(good).replace(b"bar", b"\xff\xfe")),
        ("too_deep", b"pump-1", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        ("null_key", None, encode_reading(good)),
        ("key_mismatch", b"pump-2", encode_reading(good)),
        ("bad_id", b"pump-1", json.dumps(as_json | {"sensor_id": ""}).encode()),
        ("unknown_encoding", b"pump-1", b"PK\x03\x04"),
        ("bad_arrow", b"pump-1", b"\xff\xff\xff\xff" + b"\x40\x00\x00\x00" + b"\x00" * 20),
        ("empty_message", b"pump-1", b""),
        ("too_large", b"pump-1", b'{"x":"' + b"y" * 10_000_000 + b'"}'),
    ]
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish_raw(b"pump-1", encode_reading(good))
        for _, key, value in poison:
            publisher.publish_raw(key, value)
        publisher.publish_raw(b"pump-1", batch)
        publisher.publish_raw(b"pump-1", encode_reading(a_reading("pump-1", 9, 5.0)))
    stack.wait_ready(stack.start())
    progress = stack.wait_committed(closed=True)

    letters = stack.dead_letters()
    whole = [letter for letter in letters if "rows" not in letter]
    expected = sorted((reason, key or b"", value) for reason, key, value in poison)
    assert sorted((letter["reason"], letter["key"] or b"", letter["value"]) for letter in whole) == expected
    (of_rows,) = [letter for letter in letters if "rows" in letter]
    assert (of_rows["reason"], of_rows["rows"], of_rows["value"]) == ("not_finite", "1,3", batch)
    for letter in letters:
        assert letter["origin-topic"] == stack.topic
        assert int(letter["origin-partition"]) == letter["partition"]
        assert letter["detail"]
    (window,) = stack.windows()
    assert (window["count"], window["mean"]) == (4, (2.0 + 3.0 + 4.0 + 5.0) / 4)
    refused: dict[str, int] = {}
    for held in progress.values():
        for reason, count in held.counters.dead_letters.items():
            refused[reason] = refused.get(reason, 0) + count
    counted = [reason for reason, _, _ in poison] + ["not_finite", "not_finite"]
    assert refused == {reason: counted.count(reason) for reason in counted}


def test_a_silent_machine_or_an_empty_partition_holds_nothing_back(new_stack: NewStack) -> None:
    stack = new_stack(idle_timeout_seconds=3600.0)
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch([a_reading("silent", 1, 1.0)]), "json")
        publisher.publish(to_record_batch([a_reading("busy", second, 1.0) for second in range(60)]), "json")
    stack.wait_ready(stack.start())
    stack.wait_committed()
    assert {row["machine_id"] for row in stack.windows()} == {"busy"}
    assert len(stack.windows()) == 5  # the watermark stands at 59 - 5 s


def test_silence_closes_windows_and_what_comes_then_is_late(new_stack: NewStack) -> None:
    stack = new_stack(idle_timeout_seconds=1.5)
    stack.wait_ready(stack.start())
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch([a_reading("pump-1", 1, 1.0), a_reading("pump-1", 2, 3.0)]), "json")
        publisher.flush()
        stack.wait_committed(closed=True)
        (window,) = stack.windows()
        assert (window["count"], window["mean"]) == (2, 2.0)
        # also to a worker that did not see the silence
        stack.kill(stack.workers[-1])
        stack.wait_ready(stack.start())
        publisher.publish(to_record_batch([a_reading("pump-1", 3, 9.0)]), "json")
        publisher.flush()
        progress = stack.wait_committed()
    assert [row["value"] for row in stack.late()] == [9.0]
    assert len(stack.windows()) == 1
    assert sum(held.counters.late for held in progress.values()) == 1


def test_late_readings_correct_their_window_and_a_killed_worker_publishes_it_once(new_stack: NewStack) -> None:
    stack = new_stack(partitions=1, correction_lateness_seconds=60.0)
    stack.wait_ready(stack.start())
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch([a_reading("pump-1", 1, 1.0), a_reading("pump-1", 21, 3.0)]), "json")
        publisher.publish(to_record_batch([a_reading("pump-1", 2, 5.0)]), "json")  # the window closed at 10 + 5
        publisher.flush()
        stack.wait_committed()
        assert [(row["revision"], row["count"]) for row in stack.windows()] == [(0, 1)]
        # gathered, and not yet published: it has to survive in the state
        stack.kill(stack.workers[-1])
        stack.wait_ready(stack.start())
        publisher.publish(to_record_batch([a_reading("pump-1", 29, 3.0), a_reading("pump-1", 99, 3.0)]), "json")
        publisher.publish(to_record_batch([a_reading("pump-1", 3, 9.0)]), "json")  # and now it is settled
        publisher.flush()
        progress = stack.wait_committed()
    first = [row for row in stack.windows() if row["min"] == 1.0]
    assert sorted((row["revision"], row["count"], row["mean"]) for row in first) == [(0, 1, 1.0), (1, 2, 3.0)]
    assert len(stack.windows()) == 3
    assert [row["value"] for row in stack.late()] == [9.0]
    assert sum(held.counters.corrections for held in progress.values()) == 1


def test_a_worker_stops_cleanly_when_told_to(new_stack: NewStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "stats_print:true")
    stack = new_stack()
    worker = stack.start("--port", str(free_port()))
    stack.wait_ready(worker)
    assert stack.stop(worker) == 0
    # delta-rs says at its end by which options it lived: it was loaded after they had been set
    assert "opt.narenas: 1\n" in stack.log
    assert "opt.dirty_decay_ms: 0" in stack.log


def test_a_worker_that_was_overtaken_dies_without_writing(new_stack: NewStack) -> None:
    """SIGSTOP, a successor under the same name, SIGCONT: the zombie's commit is refused and its process ends."""
    stack = new_stack(idle_timeout_seconds=3600.0, commit_interval_seconds=3.0)
    zombie = stack.start()
    stack.wait_ready(zombie)
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish(to_record_batch([a_reading("pump-1", second, 1.0) for second in range(60)]), "json")
        publisher.flush()
        time.sleep(1.5)  # folded, not committed
        os.kill(zombie.pid, signal.SIGSTOP)
        try:
            successor = stack.start()
            stack.wait_ready(successor)
            publisher.publish(to_record_batch([a_reading("pump-1", second, 1.0) for second in range(60, 90)]), "json")
            publisher.flush()
            stack.wait_committed()
        finally:
            os.kill(zombie.pid, signal.SIGCONT)
        assert zombie.wait(timeout=240) != 0
    rows = stack.windows()
    assert len(rows) == len({(row["sensor_id"], row["window_start"]) for row in rows}) == 8


@pytest.mark.timeout(600)
def test_two_workers_share_the_partitions_and_survive_each_other(new_stack: NewStack) -> None:
    stack = new_stack()
    machines = [f"pump-{number}" for number in range(12)]

    def publish(begin: int, end: int) -> None:
        with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
            readings = [a_reading(machine, second, second) for second in range(begin, end) for machine in machines]
            publisher.publish(to_record_batch(readings), "json")

    first = stack.start("--member", "a")
    stack.wait_ready(first)
    publish(0, 40)
    second = stack.start("--member", "b")
    stack.wait_ready(second)
    publish(40, 80)
    stack.wait_committed()
    assert first.poll() is None
    assert second.poll() is None
    assert len(json.loads(stack.readiness.read_text())["partitions"]) == 2
    stack.kill(first)  # its partitions come over when the group has missed it for long enough
    publish(80, 126)
    stack.wait_committed()
    rows = stack.windows()
    assert [row["count"] for row in rows] == [10] * len(rows)
    assert len(rows) == len({(row["sensor_id"], row["window_start"]) for row in rows}) == 12 * 12


def free_port() -> int:
    from infra.devstack.ports import free_ports

    (port,) = free_ports(1)
    return port
