"""Letters that a defined stream alone refused, replayed while command and worker are killed.

It counts each once, and no other stream counts its reading again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from infra.cli.main import root
from infra.stream_definitions import StreamDefinitions
from infra.wiring import defined_streams
from ingestion.definition import StreamDefinition
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topics import TopicAdmin
from tests.stream_process import StreamStack, stream_stack
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.fault]

NOW = datetime.now(UTC).replace(microsecond=0)
MACHINES, SECONDS, BAD = 2, 40, 6

KILLED_REPLAY = textwrap.dedent(
    """
    import os, signal, sys
    from infra.letters import letter_desk, letters_of
    from infra.settings import Settings

    steps = []

    def step(name):
        steps.append(name)
        if name == sys.argv[1] and steps.count(name) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

    with letter_desk(Settings(), letters_of(Settings(), stream="warm")) as desk:
        desk._step = step
        desk.replay([c.letter.id for c in desk.cases() if c.state in ("open", "replaying")], by="test",
                    patch={"ambient": 20.5}, passes_over=True)
    """
)


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
        found = defined_streams.stream_progress(self.stack.settings, self.definition)
        return sum(held.counters.accepted + held.counters.late for held in found.values())

    def counted_by_built_in(self) -> int:
        return sum(held.counters.accepted + held.counters.late for held in self.stack.progress().values())


@pytest.fixture
def both(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Both]:
    with stream_stack(kafka_bootstrap, tmp_path / "home", "warm", partitions=2, session_seconds=6.0) as stack:
        yield Both(stack)


def tidemill(stack: StreamStack, *arguments: str) -> Any:
    shown = CliRunner().invoke(root, [*arguments, "-o", "json"], env=stack.environment)
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


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
        ended = subprocess.run(
            [sys.executable, "-c", KILLED_REPLAY, step, str(time)],
            env=os.environ | stack.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        stack.kill(worker)
        worker = both.start()
    tidemill(stack, "dlq", "replay", "--all", "--stream", "warm", "--wait", "120")
    both.wait_committed()
    assert (both.counted_by_built_in(), both.counted()) == (total, total), "each once, and nowhere else"
    states = {row["state"] for row in tidemill(stack, "dlq", "list", "--stream", "warm")}
    assert states == {"replayed"}
    assert tidemill(stack, "dlq", "list") == []
