"""Defined streams beside the built-in one: three kinds of windows over real Kafka, Postgres and lake, killed and equal
to a plain computation over the same readings.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable
from kafka import KafkaProducer
from sqlalchemy import create_engine

from infra.backfills import BackfillWish, backfill
from infra.settings import Settings
from infra.stream_definitions import StreamDefinitions, read
from infra.wiring import defined_streams
from ingestion.backfill.reads import EventRange
from ingestion.definition import StreamDefinition
from ingestion.kafka.topics import TopicAdmin
from storage.postgres.migrate import upgrade
from storage.postgres.static_data import files_in, load
from tests.stream_process import StreamStack, stream_stack

pytestmark = pytest.mark.stack

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLANT = Path(__file__).parents[3] / "examples/plant"
MACHINES = ("north-pump-01", "north-pump-02", "harbour-pump-03", "nowhere-pump-99")
SITES = {"north-pump-01": "north", "north-pump-02": "north", "harbour-pump-03": "harbour"}
GAP, LATENESS = 15, "30s"

DEFINITIONS: Sequence[Mapping[str, Any]] = (
    {
        "name": "by_site",
        "source": {"fields": {"ambient": "double"}},
        "join": [
            {"table": "sensors", "on": "sensor_id", "columns": {"quantity": "quantity"}},
            {"table": "machines", "on": "machine_id", "columns": {"site_id": "site"}},
        ],
        "filter": "(quantity = 'flow' or quantity is null) and value < 15 and sensor_id like '%/flow'",
        "derived": {"above": "value - coalesce(ambient, 0)"},
        "key": ["machine_id", "sensor_id", "site"],
        "window": {"type": "tumbling", "size": "10s", "allowed_lateness": LATENESS},
        "aggregates": {"count": "count", "highest": "max", "above": {"function": "sum", "of": "above"}},
    },
    {
        "name": "hops",
        "window": {"type": "hopping", "size": "20s", "every": "10s", "allowed_lateness": LATENESS},
        "aggregates": {"count": "count", "total": "sum", "least": "min"},
    },
    {
        "name": "runs",
        "key": ["machine_id"],
        "filter": "value > 5",
        "window": {"type": "session", "gap": f"{GAP}s", "allowed_lateness": LATENESS},
        "aggregates": {"count": "count", "at_start": "first", "at_end": "last"},
        "sink": {"table": "machine_runs"},
    },
)


@dataclass(frozen=True)
class Sent:
    """A reading as it is sent: `seconds` after ORIGIN."""

    machine: str
    kind: str
    seconds: float
    value: float
    ambient: float | str | None = None

    @property
    def message(self) -> bytes:
        told: dict[str, Any] = {
            "machine_id": self.machine,
            "sensor_id": f"{self.machine}/{self.kind}",
            "event_time": (ORIGIN + timedelta(seconds=self.seconds)).isoformat(),
            "value": self.value,
        }
        return json.dumps(told if self.ambient is None else told | {"ambient": self.ambient}).encode()


@pytest.fixture
def stack(
    kafka_bootstrap: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StreamStack]:
    engine = create_engine(database_url)
    upgrade(engine)
    load(engine, files_in([PLANT]))
    engine.dispose()
    # workers inherit it
    monkeypatch.setenv("TIDEMILL_POSTGRES_URL", database_url)
    with stream_stack(
        kafka_bootstrap, tmp_path / "home", "defined", partitions=2, allowed_lateness_seconds=30.0
    ) as made:
        yield made


class Defined:
    """A definition and its worker."""

    def __init__(self, stack: StreamStack, document: Mapping[str, Any], folder: Path) -> None:
        self.stack = stack
        self.file = folder / f"{document['name']}.yml"
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))
        self.settings: Settings = stack.settings
        self.definition: StreamDefinition = read(self.file, readings_topic=stack.topic)
        self.readiness = defined_streams.readiness_file(self.settings, self.definition.name)
        self.worker = self.start()

    def start(self) -> Popen[bytes]:
        self.readiness.unlink(missing_ok=True)
        return self.stack.start(str(self.file))

    def wait(self, what: str, done: Callable[[], bool], limit: float = 180.0) -> None:
        deadline = time.monotonic() + limit
        while not done():
            assert self.worker.poll() is None, f"the worker ended:\n{self.stack.log[-3000:]}"
            assert time.monotonic() < deadline, f"{what} was not so within {limit} s:\n{self.stack.log[-3000:]}"
            time.sleep(0.1)

    def wait_ready(self) -> None:
        self.wait("ready", lambda: self.readiness.exists())

    def wait_committed(self) -> None:
        with TopicAdmin(self.stack.bootstrap) as admin:
            ends = {p: end for p, end in admin.end_offsets(self.stack.topic).items() if end}

        def are_all() -> bool:
            found = defined_streams.stream_progress(self.settings, self.definition)
            return all(p in found and found[p].next_offset == end for p, end in ends.items())

        self.wait("all committed", are_all)

    def rows(self) -> list[dict[str, Any]]:
        table = DeltaTable(self.stack.home / "lake" / self.definition.table).to_pyarrow_table()
        names = [*self.definition.key, "window_start", "window_end", *(a.column for a in self.definition.aggregates)]
        order = [(name, "ascending") for name in (*self.definition.key, "window_start")]
        rows: list[dict[str, Any]] = table.select(names).sort_by(order).to_pylist()
        return rows


def send(stack: StreamStack, messages: Sequence[tuple[str, bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=[stack.bootstrap], acks="all")
    try:
        for machine, message in messages:
            producer.send(stack.topic, key=machine.encode(), value=message)
        producer.flush(60)
    finally:
        producer.close()


def readings(seed: int, begin: int, end: int, kinds: Sequence[str], **more: Any) -> list[Sent]:
    """Every second or so a reading of each sensor, with pauses, a little out of order."""
    chance = random.Random(seed)
    found = []
    for machine in MACHINES:
        for kind in kinds:
            found += [
                Sent(machine, kind, second + chance.random(), round(chance.gauss(10, 4), 3), **more)
                for second in range(begin, end)
                if chance.random() < 0.8 and second % 60 < 35
            ]
    return sorted(found, key=lambda one: one.seconds + chance.uniform(0, 10))


def reference(sent: Sequence[Sent]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the three definitions, computed plainly."""
    frame = pd.DataFrame([(s.machine, s.kind, s.seconds, s.value, s.ambient) for s in sent])
    frame.columns = pd.Index(["machine_id", "kind", "seconds", "value", "ambient"])
    frame["sensor_id"] = frame.machine_id + "/" + frame.kind
    frame["at"] = [round(s * 1e6) for s in frame.seconds]

    def moment(us: int) -> datetime:
        return ORIGIN + timedelta(microseconds=int(us))

    by_site, hops, runs = [], [], []
    flow = frame[(frame.kind == "flow") & (frame.value < 15)]
    for (machine, sensor, start), rows in flow.groupby(["machine_id", "sensor_id", flow["at"] // 10_000_000]):
        above = (rows.value - rows.ambient.fillna(0)).sum()
        by_site.append(
            {"machine_id": machine, "sensor_id": sensor, "site": SITES.get(machine, ""),
             "window_start": moment(start * 10_000_000), "window_end": moment((start + 1) * 10_000_000),
             "count": len(rows), "highest": rows.value.max(), "above": pytest.approx(above)}
        )  # fmt: skip
    tick = frame["at"] // 10_000_000
    twice = pd.concat([frame.assign(start=tick), frame.assign(start=tick - 1)])
    for (machine, sensor, start), rows in twice.groupby(["machine_id", "sensor_id", "start"]):
        hops.append(
            {"machine_id": machine, "sensor_id": sensor,
             "window_start": moment(start * 10_000_000), "window_end": moment((start + 2) * 10_000_000),
             "count": len(rows), "total": pytest.approx(rows.value.sum()), "least": rows.value.min()}
        )  # fmt: skip
    for machine, rows in frame[frame.value > 5].sort_values("at").groupby("machine_id"):
        for _, session in rows.groupby((rows["at"].diff() >= GAP * 1_000_000).cumsum()):
            runs.append(
                {"machine_id": machine, "window_start": moment(session["at"].iloc[0]),
                 "window_end": moment(session["at"].iloc[-1] + GAP * 1_000_000),
                 "count": len(session), "at_start": session.value.iloc[0], "at_end": session.value.iloc[-1]}
            )  # fmt: skip
    return {"by_site": by_site, "hops": hops, "runs": runs}


@pytest.mark.timeout(900)
def test_three_streams_beside_the_built_in_one_equal_a_plain_computation(stack: StreamStack, tmp_path: Path) -> None:
    first = readings(1, 0, 150, ("flow",))
    # later there is a kind of sensor and a field that nobody has seen before
    second = readings(2, 150, 300, ("flow", "vibration"), ambient=1.5)
    wrong = Sent("north-pump-01", "flow", 301.0, 7.0, ambient="hot")
    closing = [Sent(machine, kind, 3000.0, 6.0) for machine in MACHINES for kind in ("flow", "vibration")]

    built_in = stack.start()
    stack.wait_ready(built_in)
    streams = {str(document["name"]): Defined(stack, document, tmp_path) for document in DEFINITIONS}
    send(stack, [(one.machine, one.message) for one in first])
    for one in streams.values():
        one.wait_ready()
    streams["by_site"].wait_committed()
    for one in (streams["by_site"], streams["runs"]):
        stack.kill(one.worker)
    send(stack, [(one.machine, one.message) for one in second])
    send(stack, [("north-pump-01", b'{"machine_id": "north-pump-01", '), ("north-pump-01", wrong.message)])
    for one in (streams["by_site"], streams["runs"]):
        one.worker = one.start()
    send(stack, [(one.machine, one.message) for one in closing])
    for one in streams.values():
        one.wait_committed()
    stack.wait_committed()

    assert built_in.poll() is None, "the built-in stream was never restarted"
    assert streams["hops"].worker.poll() is None
    expected = reference([*first, *second, replace(wrong, ambient=None)])
    expected["by_site"] = reference([*first, *second])["by_site"]
    for name, one in streams.items():
        found = one.rows()
        key = [*one.definition.key, "window_start"]
        assert found == sorted(expected[name], key=lambda row: [row[column] for column in key]), name
    # a letter each: what nobody can read by the built-in stream, the field by the stream that declares it
    assert [letter["reason"] for letter in stack.dead_letters()] == ["bad_json"]
    own = stack.dead_letters(f"{stack.topic}-by_site-dead-letters")
    assert [(letter["reason"], letter["detail"]) for letter in own] == [
        ("wrong_field", "field ambient is 'hot'; double was expected by the stream by_site")
    ]
    for one in streams.values():
        is_given_by_history(stack, one)


def is_given_by_history(stack: StreamStack, one: Defined) -> None:
    """A backfill makes the same rows, offsets included; and finds nothing to do in the stream's own table."""
    definition = one.definition
    StreamDefinitions(one.settings).store(definition, one.file.read_bytes())
    span = EventRange(since=ORIGIN - timedelta(minutes=1), until=ORIGIN + timedelta(seconds=400))
    into = f"{definition.table}_again"
    made = backfill(one.settings, BackfillWish(stream=definition.name, span=span, into=into)).report
    same = backfill(one.settings, BackfillWish(stream=definition.name, span=span)).report
    live, again = (
        DeltaTable(stack.home / "lake" / name).to_pyarrow_table().drop_columns(["date"])
        for name in (definition.table, into)
    )
    order = [(name, "ascending") for name in (*definition.key, "window_start")]
    assert again.sort_by(order).to_pylist() == live.sort_by(order).to_pylist()
    assert (made.written, made.incomplete) == (live.num_rows, 0)
    assert (same.equal, same.written, same.different, same.left_to_stream) == (live.num_rows, 0, 0, 0)


def test_a_topic_that_is_missing_is_told_before_anything_is_made(stack: StreamStack, tmp_path: Path) -> None:
    document = {**DEFINITIONS[1], "name": "astray", "source": {"topic": f"none-{uuid4().hex[:8]}"}}
    stream = Defined(stack, document, tmp_path)
    assert stream.worker.wait(timeout=240) == 2
    assert "source.topic: there is no topic 'none-" in stack.log
    assert not (stack.home / "lake" / "astray").exists()
