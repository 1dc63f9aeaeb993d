"""Backfills on a real broker and a real lake, beside a live worker."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable

from infra.cli.failures import exit_code_of
from infra.cli.main import root
from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.history import KafkaHistory
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from storage.lake.changes import gained
from tests.stream_process import StreamStack

pytestmark = pytest.mark.stack

ORIGIN = datetime(2026, 3, 1, 23, 58, tzinfo=UTC)  # across midnight: rows of two dates
MACHINES = 3
SECONDS = 240
SPAN = (ORIGIN.isoformat(), (ORIGIN + timedelta(seconds=SECONDS)).isoformat())
ORDER = ("machine_id", "sensor_id", "window_start", "revision")


def reading(machine: int, quantity: str, second: float, value: float, sequence: int | None = None) -> Reading:
    return Reading(
        machine_id=f"pump-{machine}",
        sensor_id=f"pump-{machine}/{quantity}",
        event_time=ORIGIN + timedelta(seconds=second),
        value=value,
        unit="bar",
        sequence=sequence,
    )


def publish(stack: StreamStack) -> None:
    """In disorder, late, repeated and broken; then readings that close and settle every window of the range."""
    chance = random.Random(5)
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        for tick in range(SECONDS):
            for machine in range(MACHINES):
                rows = [
                    reading(machine, quantity, tick - chance.choice([0] * 9 + [3, 12, 60]), chance.gauss(50, 5), tick)
                    for quantity in ("flow", "current")
                ]
                key = b"pump-%d" % machine
                values = [encode_batch(to_record_batch(rows))] if machine else [encode_reading(row) for row in rows]
                for value in values:
                    for _ in range(2 if chance.random() < 0.03 else 1):
                        publisher.publish_raw(key, value)
                if chance.random() < 0.02:
                    publisher.publish_raw(key, b"{")
        for machine in range(MACHINES):
            publisher.publish_raw(b"pump-%d" % machine, encode_reading(reading(machine, "flow", 3600, 0.0)))


@pytest.fixture(scope="module")
def stack(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamStack]:
    """A live worker that has read everything, and goes on."""
    made = StreamStack(
        bootstrap=kafka_bootstrap,
        home=tmp_path_factory.mktemp("backfill"),
        topic=f"backfill-{uuid4().hex[:8]}",
        partitions=2,
        correction_lateness_seconds=15.0,
    )
    made.create_topics()
    try:
        publish(made)
        made.wait_ready(made.start())
        made.wait_committed()
        yield made
    finally:
        made.close()


def run(stack: StreamStack, *arguments: str, span: tuple[str, str] = SPAN) -> Result:
    command = ["stream", "backfill", *arguments, "--from", span[0], "--to", span[1], "-o", "json"]
    return CliRunner().invoke(root, command, env=stack.environment)


def answer(stack: StreamStack, *arguments: str, span: tuple[str, str] = SPAN) -> dict[str, Any]:
    done = run(stack, *arguments, span=span)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def refused(stack: StreamStack, *arguments: str) -> tuple[int, str, str]:
    """The exit code, what stderr says, and stdout."""
    done = run(stack, *arguments)
    assert done.exception is not None
    return exit_code_of(done.exception), str(done.exception), done.stdout


def version(stack: StreamStack, table: str = "windows") -> int:
    return int(DeltaTable(stack.home / "lake" / table).version())


def lose(stack: StreamStack, predicate: str, table: str = "windows") -> int:
    """Delete rows, as somebody does who should not; how many."""
    return int(DeltaTable(stack.home / "lake" / table).delete(predicate)["num_deleted_rows"])


def in_range(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if ORIGIN <= row["window_start"] < ORIGIN + timedelta(seconds=SECONDS)]


def late_in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(in_range(rows), key=lambda row: (row["partition"], row["offset"], row["sensor_id"]))


def test_another_table_gets_the_rows_of_the_live_stream(stack: StreamStack) -> None:
    live = in_range(stack.rows("windows", ORDER))
    assert len(live) > 100
    assert any(row["revision"] for row in live)
    planned = answer(stack, "--into", "again", "--dry-run")
    assert planned["windows"]["written"] == len(live)
    assert not (stack.home / "lake" / "again").exists()
    done = answer(stack, "--into", "again")
    assert done["windows"] | {"closed_at_end": 0} == planned["windows"] | {"closed_at_end": 0}
    assert done["dead_letters"].keys() == {"bad_json"}
    assert stack.rows("again", ORDER) == live, "to the last bit, offsets included"
    late = late_in_order(stack.late())
    assert len(late) > 10
    assert late_in_order(stack.rows("again_late", ["partition", "offset"])) == late
    again = answer(stack, "--into", "again")
    assert (again["windows"]["written"], again["windows"]["different"], again["commits"]) == (0, 0, 0)
    assert again["late_readings"] == {"written": 0, "equal": len(late)}


def test_the_live_table_has_all_and_what_it_lost_comes_back_beside_the_live_worker(stack: StreamStack) -> None:
    before, late = stack.rows("windows", ORDER), late_in_order(stack.late())
    same = answer(stack)
    assert same["windows"]["written"] == same["windows"]["different"] == same["windows"]["left_to_stream"] == 0
    gone = lose(stack, "machine_id = 'pump-1' and window_start >= '2026-03-02T00:00:00Z'")
    gone_late = lose(stack, "machine_id = 'pump-2' and window_start >= '2026-03-01T23:58:00Z'", "late_readings")
    lost = version(stack)
    half = (ORIGIN + timedelta(seconds=SECONDS / 2)).isoformat()
    first = answer(stack, span=(SPAN[0], half))
    second = answer(stack, span=(half, SPAN[1]))
    assert first["windows"]["written"] + second["windows"]["written"] == gone > 0
    assert first["late_readings"]["written"] + second["late_readings"]["written"] == gone_late > 0
    assert stack.rows("windows", ORDER) == before
    assert late_in_order(stack.late()) == late
    # new data to whoever reads the table by its versions: schedules score it
    files = gained(stack.home / "lake" / "windows", lost, version(stack))
    assert sum(file.rows for file in files) == gone
    # and the live stream goes on as if nothing had been
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        publisher.publish_raw(b"pump-1", encode_reading(reading(1, "flow", 7200, 1.0)))
    stack.wait_committed()
    assert in_range(stack.rows("windows", ORDER)) == in_range(before)
    assert len(stack.rows("windows", ORDER)) > len(before)


def test_what_differs_is_told_and_replaced_only_when_asked(stack: StreamStack) -> None:
    before = stack.rows("windows", ORDER)
    table = DeltaTable(stack.home / "lake" / "windows")
    changed = "machine_id = 'pump-0' and window_start = '2026-03-01T23:59:00Z'"
    start = ORIGIN + timedelta(minutes=1)
    mine = [row for row in before if row["machine_id"] == "pump-0" and row["window_start"] == start]
    newest = max(row["revision"] for row in mine)
    table.update(predicate=changed, updates={"mean": "mean + 1"})
    code, why, shown = refused(stack)
    assert code == 1
    assert "--replace" in why
    told = json.loads(shown)
    count = sum(row["revision"] == newest for row in mine)
    assert (told["windows"]["different"], told["windows"]["written"], told["commits"]) == (count, 0, 0)
    (difference,) = told["differences"]
    assert difference["columns"].keys() == {"mean"}
    replaced = answer(stack, "--replace")
    assert replaced["windows"]["replaced"] == count
    latest = [
        row
        for row in stack.rows("windows", ORDER)
        if row["machine_id"] == "pump-0" and row["window_start"] == start and row["revision"] == newest + 1
    ]
    assert [row | {"revision": newest} for row in latest] == [row for row in mine if row["revision"] == newest]
    assert answer(stack)["windows"]["different"] == 0


def test_open_windows_are_left_to_the_live_stream(stack: StreamStack) -> None:
    span = ((ORIGIN + timedelta(hours=1)).isoformat(), (ORIGIN + timedelta(hours=3)).isoformat())
    before = stack.rows("windows", ORDER)
    done = answer(stack, span=span)
    assert done["windows"]["left_to_stream"] > 0
    assert done["windows"]["written"] == 0
    assert stack.rows("windows", ORDER) == before


def test_recorded_files_give_the_same_windows(stack: StreamStack, tmp_path: Path) -> None:
    """Of readings that came in order: a recording is read in order of event time."""
    in_order = StreamStack(
        bootstrap=stack.bootstrap, home=tmp_path / "home", topic=f"recorded-{uuid4().hex[:8]}", partitions=1
    )
    in_order.create_topics()
    chance = random.Random(9)
    rows = [reading(m, q, s, chance.gauss(5, 1)) for s in range(60) for m in range(2) for q in ("flow", "current")]
    lines = [f"{r.machine_id},{r.sensor_id},{r.event_time.isoformat()},{r.value!r},{r.unit}" for r in rows]
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "pumps.csv").write_text("\n".join(["machine_id,sensor_id,event_time,value,unit", *lines]))
    closing = [reading(m, "flow", 3600, 0.0) for m in range(2)]
    with KafkaReadingPublisher(in_order.bootstrap, in_order.topic) as publisher:
        publisher.publish(to_record_batch([*rows, *closing]), "json")
    try:
        code, told, _ = refused(in_order, "--recordings", str(tmp_path / "recorded"))
        assert code == 2
        assert "has not read partition 0" in told
        into = answer(in_order, "--recordings", str(tmp_path / "recorded"), "--into", "recorded")
        assert into["windows"]["written"] == 2 * 2 * 6
        worker = in_order.start()
        in_order.wait_ready(worker)
        in_order.wait_committed()
        live = in_range(in_order.rows("windows", ORDER))
        nowhere = {"partition": -1, "first_offset": -1, "last_offset": -1}
        assert in_order.rows("recorded", ORDER) == [row | nowhere for row in live]
        topics = DeltaTable(in_order.home / "lake" / "recorded").to_pyarrow_table()["topic"]
        assert topics.unique().to_pylist() == ["recording"]
        same = answer(in_order, "--recordings", str(tmp_path / "recorded"))
        assert same["windows"]["equal"] == len(live)
        lose(in_order, "machine_id = 'pump-1'")
        back = answer(in_order, "--recordings", str(tmp_path / "recorded"))
        assert back["windows"]["written"] == len(live) / 2
    finally:
        in_order.close()


def test_a_second_backfill_of_a_table_is_refused(stack: StreamStack) -> None:
    from storage.lake.backfill_table import only_backfill

    with only_backfill(stack.home / "run" / "backfill-windows.lock", "windows"):
        code, told, _ = refused(stack)
    assert code == 1
    assert "another backfill is writing to the lake's table windows" in told
    answer(stack)


def test_offsets_follow_the_brokers_time(stack: StreamStack) -> None:
    topic = f"history-{uuid4().hex[:8]}"
    other = StreamStack(bootstrap=stack.bootstrap, home=stack.home, topic=topic, partitions=1)
    other.create_topics()
    moments = []
    with KafkaReadingPublisher(stack.bootstrap, topic) as publisher:
        for number in range(3):
            publisher.publish_raw(b"m", b"%d" % number)
            publisher.flush()
            time.sleep(0.05)
            moments.append(datetime.now(UTC))
            time.sleep(0.05)
    history = KafkaHistory(stack.bootstrap, topic)
    try:
        assert [history.offsets_at(moment)[0] for moment in moments] == [1, 2, 3]
        assert history.offsets_at(ORIGIN)[0] == 0
        kept = history.kept()[0]
        assert (kept.begin, kept.end) == (0, 3)
        assert kept.first_at is not None
        assert kept.first_at < moments[0]
        read = [record.value for records in history.read(0, 1, 3) for record in records]
        assert read == [b"1", b"2"]
    finally:
        history.close()
