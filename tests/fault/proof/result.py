"""What a stream has made of its topic, what an undisturbed run makes of it, and whether the two are the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from kafka import KafkaConsumer, TopicPartition

from infra.wiring import defined_streams
from ingestion.intake import DeadLetter
from ingestion.pipeline import Pipeline
from storage.lake.window_sink import LakeWindowSink
from tests.fault.proof.defined import DefinedStack
from tests.fault.proof.feed import Feed
from tests.stream_process import StreamStack

Letter = tuple[int, int, str, str, str, str]
_WINDOWS = ("machine_id", "sensor_id", "window_start", "window_end", "revision")
_LATE = ("partition", "offset", "sensor_id", "event_time", "value", "window_start")


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that a stream leaves behind.

    letters          each once: partition, offset, rows, reason, detail, hash of key and value
    letters_doubled  how many of them lie in their topic more than once
    counters         what the committed states have counted, over all partitions
    """

    windows: pa.Table
    late: pa.Table
    letters: Sequence[Letter]
    letters_doubled: int
    counters: dict[str, int]


def of_stack(stack: StreamStack) -> Result:
    """What lies in the stack's lake and in its dead-letter topic."""
    letters = Counter(_letter_of_headers(letter) for letter in stack.dead_letters())
    windows, late = _tables(stack)
    return Result(
        windows=windows,
        late=late,
        letters=sorted(letters),
        letters_doubled=sum(count - 1 for count in letters.values()),
        counters=_counters(stack),
    )


def undisturbed(stack: StreamStack, home: Path) -> Result:
    """What one pipeline makes of the stack's topic, read once from its first message to its last by another client."""
    calm = replace(stack, home=home, workers=[])
    if isinstance(calm, DefinedStack):
        calm.write_definition(home)
    letters = _Kept()
    pipeline = _pipeline(calm, letters)
    partitions = list(range(stack.partitions))
    pipeline.assign(partitions, dict.fromkeys(partitions, 0))
    consumer = KafkaConsumer(
        bootstrap_servers=[stack.bootstrap], enable_auto_commit=False, max_partition_fetch_bytes=30_000_000
    )
    try:
        for partition in partitions:
            where = TopicPartition(stack.topic, partition)
            end = consumer.end_offsets([where])[where]
            consumer.assign([where])
            consumer.seek_to_beginning(where)
            while consumer.position(where) < end:
                for records in consumer.poll(timeout_ms=1000, max_records=5000).values():
                    pipeline.take(partition, records)
            pipeline.commit()
    finally:
        consumer.close()
    windows, late = _tables(calm)
    return Result(
        windows=windows,
        late=late,
        # bad messages are the built-in stream's to tell of
        letters=[] if isinstance(calm, DefinedStack) else sorted(_letter(letter) for letter in letters.letters),
        letters_doubled=0,
        counters=_counters(calm),
    )


def check_same(found: Result, expected: Result) -> None:
    """Raises AssertionError that names the first rows that differ."""
    _check_rows("windows", found.windows, expected.windows, _WINDOWS)
    _check_rows("late readings", found.late, expected.late, ())
    missing, surplus = set(expected.letters) - set(found.letters), set(found.letters) - set(expected.letters)
    assert not missing, f"{len(missing)} dead letters are missing, as {min(missing)}"
    assert not surplus, f"{len(surplus)} dead letters are of messages that were good, as {min(surplus)}"
    assert found.counters == expected.counters


def check_accounts(found: Result, feed: Feed, messages: int) -> None:
    """Every reading that the broker has accepted is in one window, late, a repeat, or refused; and none is more.

    messages  how many the topic holds
    """
    assert messages == feed.messages, f"the broker confirmed {feed.messages} messages and holds {messages}"
    told = found.counters
    assert told["accepted"] + told["late"] + told["duplicates"] + told["refused"] == feed.readings, told
    assert told["late"] == found.late.num_rows
    newest = found.windows.group_by(["machine_id", "sensor_id", "window_start"]).aggregate([("count", "max")])
    still_open = told["accepted"] - pc.sum(newest["count_max"]).as_py()
    # the closing readings stay in windows that nothing closes
    assert 0 <= still_open <= 16, f"{still_open} readings were counted and are in no window"


def _check_rows(name: str, found: pa.Table, expected: pa.Table, key: Sequence[str]) -> None:
    if found.equals(expected):
        return
    doubled = found.num_rows - found.group_by(list(key)).aggregate([]).num_rows if key else 0
    of_expected = {tuple(row.values()): row for row in expected.to_pylist()}
    of_found = {tuple(row.values()): row for row in found.to_pylist()}
    missing = [row for key, row in of_expected.items() if key not in of_found]
    surplus = [row for key, row in of_found.items() if key not in of_expected]
    raise AssertionError(
        f"{name}: {found.num_rows} rows instead of {expected.num_rows}, {doubled} of them doubled, {len(missing)} "
        f"missing, {len(surplus)} that should not be; first missing {missing[:1]}, first surplus {surplus[:1]}"
    )


def _tables(stack: StreamStack) -> tuple[pa.Table, pa.Table]:
    """Windows and late readings, in one order whoever wrote them."""
    names = [table.name for table in stack.tables] if isinstance(stack, DefinedStack) else ["windows", "late_readings"]
    held = [DeltaTable(stack.home / "lake" / name).to_pyarrow_table() for name in names]
    windows, late = (
        table.sort_by([(column, "ascending") for column in order if column in table.column_names]).combine_chunks()
        for table, order in zip(held, (_WINDOWS, _LATE), strict=True)
    )
    return windows, late


def _pipeline(stack: StreamStack, letters: _Kept) -> Pipeline:
    settings = stack.settings
    places: dict[str, Any] = {
        "lake_root": settings.paths.lake,
        "state_root": settings.paths.stream_state,
        "topic": stack.topic,
    }
    if not isinstance(stack, DefinedStack):
        return Pipeline(settings.stream, LakeWindowSink(stream=settings.stream.name, **places), letters)
    stream, (windows, late) = defined_streams.settings_of(settings, stack.definition), stack.tables
    sink = LakeWindowSink(stream=stream.name, windows=windows, late=late, **places)
    return Pipeline(stream, sink, letters, preparation=defined_streams.preparation(settings, stack.definition))


def _counters(stack: StreamStack) -> dict[str, int]:
    total: Counter[str] = Counter()
    for held in stack.progress().values():
        of = held.counters
        total.update(
            accepted=of.accepted,
            late=of.late,
            duplicates=of.duplicates,
            windows=of.windows,
            corrections=of.corrections,
            refused=sum(of.dead_letters.values()),
            open_windows=held.open_windows,
        )
    return dict(total)


def _letter_of_headers(letter: dict[str, Any]) -> Letter:
    return (
        letter["partition"],
        int(letter["origin-offset"]),
        letter.get("rows", ""),
        letter["reason"],
        letter["detail"],
        _hash(letter["key"], letter["value"]),
    )


def _letter(letter: DeadLetter) -> Letter:
    return (
        letter.partition,
        letter.message.offset,
        "" if letter.rows is None else ",".join(str(row) for row in letter.rows),
        letter.reason,
        letter.detail,
        _hash(letter.message.key, letter.message.value),
    )


def _hash(key: bytes | None, value: bytes | None) -> str:
    return hashlib.sha256(repr((key, value)).encode()).hexdigest()


class _Kept:
    """A DeadLetterQueue that keeps them here."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def restore(self, partition: int) -> None:
        pass

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters
