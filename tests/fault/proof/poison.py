"""Messages that are no readings, in shuffled places among good ones: each in the dead letters with its true reason."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from ingestion.codec import encode_batch, encode_reading
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.reading import Reading, to_record_batch
from tests.fault.proof.crew import Crew
from tests.fault.proof.proof import Figures
from tests.fault.proof.result import of_stack
from tests.stream_process import StreamStack

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINES = 20
_HUGE = 10_000_000
Message = tuple[bytes | None, bytes]
Make = Callable[[Reading, random.Random], Message]


def poison(bootstrap: str, scratch: Path, count: int, seed: int, *, each: int = 100) -> Figures:
    """`count` messages, one of `each` of them poison; windows equal those of a topic that has the good ones alone."""
    random_ = random.Random(seed)
    kinds = list(KINDS)
    total = count // each
    # ten megabytes a message are as true twenty times as a hundred times
    huge = min(20, max(1, total // 10))
    chosen = ["10 MB"] * huge + [kinds[number % len(kinds)] for number in range(total - huge)]
    slots: list[str | None] = [*chosen, *[None] * (count - total)]
    random_.shuffle(slots)
    clean, dirty = (
        StreamStack(
            bootstrap=bootstrap,
            home=scratch / name,
            topic=f"poison-{name}-{uuid4().hex[:8]}",
            allowed_lateness_seconds=5.0,
        )
        for name in ("clean", "dirty")
    )
    expected: Counter[tuple[str, str]] = Counter()
    good = 0
    with publishing(clean) as to_clean, publishing(dirty) as to_dirty:
        for kind in slots:
            reading = a_reading(good, random_)
            if kind is None:
                to_clean.publish_raw(reading.machine_id.encode(), encode_reading(reading))
                to_dirty.publish_raw(reading.machine_id.encode(), encode_reading(reading))
                good += 1
                continue
            reason, make = ("too_large", _ten_megabytes) if kind == "10 MB" else KINDS[kind]
            key, value = make(reading, random_)
            expected[reason, _name(key, value)] += 1
            to_dirty.publish_raw(key, value)
        for machine in range(MACHINES):
            last = a_reading(10**7 + machine, random_)
            for publisher in (to_clean, to_dirty):
                publisher.publish_raw(last.machine_id.encode(), encode_reading(last))
    results = []
    for stack in (clean, dirty):
        with Crew(stack, scratch / f"{stack.home.name}-notes", may_end=False) as crew:
            crew.start("worker-0")
            crew.wait_for_progress()
        results.append(of_stack(stack))
    of_clean, of_dirty = results
    letters = Counter((letter["reason"], _name(letter["key"], letter["value"])) for letter in dirty.dead_letters())
    assert letters == expected, f"other letters or reasons: {letters - expected} instead of {expected - letters}"
    _check_rows(of_dirty.windows, of_clean.windows)
    in_windows = sum(of_dirty.windows["count"].to_pylist())
    assert in_windows == good
    assert of_dirty.late.num_rows == of_clean.late.num_rows == 0
    assert of_dirty.counters == of_clean.counters | {"refused": total}
    reasons = Counter(reason for reason, _ in expected.elements())
    found: Figures = {
        "messages": count,
        "poison": total,
        "of them 10 MB": huge,
        "dead letters": letters.total(),
    }
    found |= {"with its true reason": (letters & expected).total(), "in windows": in_windows}
    return found | {"reasons": dict(sorted(reasons.items()))}


def publishing(stack: StreamStack) -> KafkaReadingPublisher:
    stack.create_topics()
    return KafkaReadingPublisher(stack.bootstrap, stack.topic)


def a_reading(number: int, random_: random.Random) -> Reading:
    """The machines in turn, a tick of half a second for each round."""
    machine = f"pump-{number % MACHINES}"
    return Reading(
        machine_id=machine,
        sensor_id=f"{machine}/{('flow', 'vibration')[number // MACHINES % 2]}",
        event_time=ORIGIN + timedelta(seconds=number // MACHINES * 0.5),
        value=random_.gauss(10, 3),
        unit="bar",
        sequence=number,
    )


def _check_rows(found: pa.Table, expected: pa.Table) -> None:
    """Equal but for where the messages lay."""
    places = ["topic", "partition", "first_offset", "last_offset"]
    left, right = (table.drop_columns(places) for table in (found, expected))
    assert left.num_rows > 0
    assert left.equals(right), f"{left.num_rows} windows with the poison, {right.num_rows} without, not all equal"


def _name(key: bytes | None, value: bytes | None) -> str:
    return hashlib.sha256(repr((key, value)).encode()).hexdigest()


# -- kinds: the reason that is true, and how one is made -----------------------------------------------------------


def _changed(**fields: Any) -> Make:
    def make(reading: Reading, _: random.Random) -> Message:
        held: dict[str, Any] = json.loads(encode_reading(reading)) | fields
        return _key(reading), json.dumps({name: value for name, value in held.items() if value is not ...}).encode()

    return make


def _cut_off(reading: Reading, random_: random.Random) -> Message:
    value = encode_reading(reading)
    return _key(reading), value[: random_.randint(1, len(value) - 1)]


def _nan_in_json(reading: Reading, _: random.Random) -> Message:
    held = json.loads(encode_reading(reading)) | {"value": float("nan")}
    return _key(reading), json.dumps(held).encode()


def _infinite(reading: Reading, _: random.Random) -> Message:
    held = json.dumps(json.loads(encode_reading(reading)) | {"value": 0.125})
    return _key(reading), held.replace("0.125", "1e999").encode()


def _nan_in_arrow(reading: Reading, _: random.Random) -> Message:
    bad = Reading(
        machine_id=reading.machine_id,
        sensor_id=reading.sensor_id,
        event_time=reading.event_time,
        value=float("nan"),
        sequence=reading.sequence,
    )
    return _key(reading), encode_batch(to_record_batch([bad]))


def _no_key(reading: Reading, _: random.Random) -> Message:
    return None, encode_reading(reading)


def _foreign_key(reading: Reading, _: random.Random) -> Message:
    return b"pump-elsewhere", encode_reading(reading)


def _deep(reading: Reading, random_: random.Random) -> Message:
    depth = random_.randint(20_000, 40_000)
    return _key(reading), b'{"x":' + b"[" * depth + b"]" * depth + b"}"


def _no_utf8(reading: Reading, random_: random.Random) -> Message:
    return _key(reading), encode_reading(reading).replace(
        b"bar", random_.choice([b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80"])
    )


def _ten_megabytes(reading: Reading, random_: random.Random) -> Message:
    return _key(reading), b'{"x":"%d' % random_.randrange(10**9) + b"y" * _HUGE + b'"}'


def _torn_arrow(reading: Reading, random_: random.Random) -> Message:
    value = encode_batch(to_record_batch([reading]))
    return _key(reading), value[: random_.randint(8, len(value) // 2)]


def _key(reading: Reading) -> bytes:
    return reading.machine_id.encode()


KINDS: Mapping[str, tuple[str, Make]] = {
    "cut off": ("bad_json", _cut_off),
    "NaN in JSON": ("bad_json", _nan_in_json),
    "NaN in Arrow": ("not_finite", _nan_in_arrow),
    "infinite": ("not_finite", _infinite),
    "value as text": ("wrong_type", _changed(value="high")),
    "machine as number": ("wrong_type", _changed(machine_id=7)),
    "value null": ("missing_field", _changed(value=None)),
    "no value": ("missing_field", _changed(value=...)),
    "no time zone": ("bad_time", _changed(event_time="2026-03-01T12:00:00")),
    "1970": ("ancient_time", _changed(event_time="1970-01-01T00:00:00Z")),
    "2999": ("future_time", _changed(event_time="2999-01-01T00:00:00Z")),
    "no key": ("null_key", _no_key),
    "another machine's key": ("key_mismatch", _foreign_key),
    "deep": ("too_deep", _deep),
    "no UTF-8": ("invalid_utf8", _no_utf8),
    "torn Arrow": ("bad_arrow", _torn_arrow),
}
