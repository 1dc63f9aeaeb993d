"""Letters that a defined stream alone refused, replayed while command and worker are killed.

It counts each once, and no other stream counts its reading again.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.stream_definitions import StreamDefinitions
from infra.wiring import defined_streams
from ingestion.definition import StreamDefinition
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin
from tests.letters import counted, killed_replay, tidemill
from tests.stream_process import StreamStack, stream_stack
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.fault]

NOW = datetime.now(UTC).replace(microsecond=0)
MACHINES, SECONDS, BAD = 2, 40, 6


def message(machine: int, second: int, ambient: Any = None) -> bytes:
    told = {
        "machine_id": f"pump-{machine}",
        "sensor_id": f"pump-{machine}/flow",
        "event_time": (NOW - timedelta(hours=1) + timedelta(seconds=second)).isoformat(),
        "value": 1.0,
        "sequence": second,
    }
    return json.dumps(told if ambient is None else told | {"ambient": ambient}).encode()


class Both:
    """The built-in stream and a defined one on the same topic."""

    def __init__(self, stack: StreamStack) -> None:
        self.stack = stack
        document = {
            "name": "warm",
            "source": {"fields": {"ambient": "double"}},
            "window": {"type": "tumbling", "size": "10s"},
            "aggregates": {"count": "count", "hottest": {"function": "max", "of": "ambient"}},
        }
        self.file = stack.home / "streams" / "warm.yml"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(yaml.safe_dump(document))
        self.definition: StreamDefinition = StreamDefinitions(stack.settings).get("warm")

    def start(self) -> subprocess.Popen[bytes]:
        return self.stack.start(str(self.file))

    def wait_committed(self) -> None:
        self.stack.wait_committed()
        with TopicAdmin(self.stack.bootstrap) as admin:
            ends = {p: end for p, end in admin.end_offsets(self.stack.topic).items() if end}

        def is_done() -> bool:
            found = defined_streams.stream_progress(self.stack.settings, self.definition)
            return all(p in found and found[p].next_offset == end for p, end in ends.items())

        until("the defined stream has committed all", is_done, limit=180)

    def counted(self) -> int:
        return counted(defined_streams.stream_progress(self.stack.settings, self.definition))

    def counted_by_built_in(self) -> int:
        return counted(self.stack.progress())


@pytest.fixture
def both(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Both]:
    with stream_stack(kafka_bootstrap, tmp_path / "home", "warm", partitions=2, session_seconds=6.0) as stack:
        yield Both(stack)


@pytest.mark.timeout(400)
def test_letters_of_one_stream_count_once_and_there_alone(both: Both) -> None:
    stack = both.stack
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        for second in range(SECONDS):
            for machine in range(MACHINES):
                is_bad = second < BAD // MACHINES
                publisher.publish_raw(b"pump-%d" % machine, message(machine, second, "hot" if is_bad else 18.0))
        lines = b"\n".join([message(0, 50), message(0, 51, "hot"), message(0, 52, 19.0)])
        publisher.publish_raw(b"pump-0", lines)
    stack.wait_ready(stack.start())
    worker = both.start()
    both.wait_committed()
    total = MACHINES * SECONDS + 3
    refused = BAD + 1
    assert (both.counted_by_built_in(), both.counted()) == (total, total - refused)
    assert tidemill(stack, "dlq", "list") == []
    letters = tidemill(stack, "dlq", "list", "--stream", "warm")
    assert [one["reason"] for one in letters] == ["wrong_field"] * refused

    # as they were they are refused again: by this stream alone, into its own letters
    one = letters[0]["letter"]
    tidemill(stack, "dlq", "replay", one, "--stream", "warm", "--wait", "90")
    both.wait_committed()
    (again,) = [row for row in tidemill(stack, "dlq", "list", "--stream", "warm") if row["letter"] not in
                {row["letter"] for row in letters}]  # fmt: skip
    assert again["state"] == "open"
    shown = tidemill(stack, "dlq", "show", again["letter"], "--stream", "warm")
    assert shown["replay_of"] == f"{stack.topic}-warm-dead-letters/{one}"

    for step, time in (("decided", 1), ("published", 3), ("flushed", 1)):
        killed_replay(stack, step, time, stream="warm", patch={"ambient": 20.5})
        stack.kill(worker)
        worker = both.start()
    tidemill(stack, "dlq", "replay", "--all", "--stream", "warm", "--wait", "120")
    both.wait_committed()
    assert (both.counted_by_built_in(), both.counted()) == (total, total), "each once, and nowhere else"
    states = {row["state"] for row in tidemill(stack, "dlq", "list", "--stream", "warm")}
    assert states == {"replayed"}
    assert tidemill(stack, "dlq", "list") == []
