"""Dead letters replayed after a fix while everything is killed: each counts once, or says where it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.letters import counted, killed_replay, tidemill
from tests.stream_process import StreamStack, stream_stack

pytestmark = [pytest.mark.stack, pytest.mark.fault]

MACHINES = 4
BAD = 12
NOW = datetime.now(UTC).replace(microsecond=0)


def reading(machine: int, second: int, value: float = 1.0) -> Reading:
    return Reading(
        machine_id=f"pump-{machine}",
        sensor_id=f"pump-{machine}/flow",
        event_time=NOW - timedelta(hours=1) + timedelta(seconds=second),
        value=value,
    )


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Any:
    with stream_stack(kafka_bootstrap, tmp_path, "replayed", partitions=2) as made:
        yield made


@pytest.mark.timeout(400)
def test_each_letter_counts_once_whoever_is_killed_and_when(stack: StreamStack) -> None:
    with KafkaReadingPublisher(stack.bootstrap, stack.topic) as publisher:
        for second in range(60):
            for machine in range(MACHINES):
                publisher.publish_raw(b"pump-%d" % machine, encode_reading(reading(machine, second)))
                if second < BAD // MACHINES:
                    # readings without a machine's key: what a fixed gateway would have sent
                    publisher.publish_raw(b"wrong", encode_reading(reading(machine, second, value=5.0 + second)))
        # two bad rows of four
        rows = [
            reading(0, 100, 1.0),
            reading(0, 101, float("nan")),
            reading(0, 102, 2.0),
            reading(0, 103, float("nan")),
        ]
        publisher.publish_raw(b"pump-0", encode_batch(to_record_batch(rows)))
        publisher.publish_raw(b"pump-1", b"{cut off")
    worker = stack.start()
    stack.wait_ready(worker)
    stack.wait_committed()
    good = MACHINES * 60 + 2
    assert counted(stack.progress()) == good
    counts = {row["reason"]: row["letters"] for row in tidemill(stack, "dlq", "list", "--counts")}
    assert counts == {"key_mismatch": BAD, "not_finite": 1, "bad_json": 1}

    # the rows of a batch, with a value; the rest of that message was counted and stays as it is
    (nan,) = tidemill(stack, "dlq", "list", "--reason", "not_finite")
    tidemill(stack, "dlq", "replay", nan["letter"], "--patch", '{"value": 3.5}', "--wait", "90")
    assert counted(stack.progress()) == good + 2
    (cut,) = tidemill(stack, "dlq", "list", "--reason", "bad_json")
    tidemill(stack, "dlq", "discard", cut["letter"], "--why", "nobody knows what it was", "--by", "ops")

    # a replay that is refused again is a letter of its own, which names the first
    for step, time in (("decided", 1), ("published", 1), ("published", 7), ("flushed", 1)):
        killed_replay(stack, step, time)
        if step == "published":
            stack.kill(worker)
            worker = stack.start()
            stack.wait_ready(worker)
    stack.kill(worker)
    tidemill(stack, "dlq", "replay", "--all", "--reason", "key_mismatch")
    worker = stack.start()
    stack.wait_ready(worker)
    stack.wait_committed()
    letters = tidemill(stack, "dlq", "list")
    again = [one for one in letters if one["reason"] == "key_mismatch" and one["state"] == "open"]
    assert len(again) == BAD, "each refused once more, and only once"
    assert sum(one["state"] == "replayed" for one in letters) == BAD + 1
    shown = tidemill(stack, "dlq", "show", again[0]["letter"])
    assert shown["replay_of"].startswith(f"{stack.topic}-dead-letters/")
    assert counted(stack.progress()) == good + 2

    # and with the key that was missing it counts, once
    for machine in range(MACHINES):
        mine = [one["letter"] for one in again if machine_of(stack, one["letter"]) == f"pump-{machine}"]
        assert len(mine) == BAD // MACHINES
        tidemill(stack, "dlq", "replay", *mine, "--key", f"pump-{machine}", "--wait", "90")
        tidemill(stack, "dlq", "replay", *mine, "--key", f"pump-{machine}")
    stack.wait_committed()
    assert counted(stack.progress()) == good + 2 + BAD
    held = [row for row in stack.late() if row["value"] >= 5.0]
    in_windows = sum(round(row["max"]) >= 5 for row in stack.windows())
    assert len(held) + in_windows > 0
    states = {(row["reason"], row["state"]): row["letters"] for row in tidemill(stack, "dlq", "list", "--counts")}
    assert states == {
        ("key_mismatch", "replayed"): 2 * BAD,
        ("not_finite", "replayed"): 1,
        ("bad_json", "discarded"): 1,
    }
    decision = tidemill(stack, "dlq", "show", cut["letter"])["decision"]
    assert (decision["action"], decision["by"], decision["why"]) == ("discard", "ops", "nobody knows what it was")


def machine_of(stack: StreamStack, letter: str) -> str:
    return str(json.loads(tidemill(stack, "dlq", "show", letter)["value"])["machine_id"])
