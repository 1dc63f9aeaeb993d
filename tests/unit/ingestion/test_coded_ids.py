"""Machines by their records' keys, where that is certain, and else by what is in the column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ingestion.coded_ids import with_coded_ids
from ingestion.records import Message, Records

ROWS = 20


def coded(keys: list[bytes | None], machines: list[str | None]) -> tuple[pa.RecordBatch, bool]:
    """Of ROWS readings a record."""
    records = Records.of([Message(place, 0, key, b"x") for place, key in enumerate(keys)])
    owner = np.repeat(np.arange(len(keys)), ROWS)[: len(machines)]
    columns = {"machine_id": pa.array(machines, pa.string()), "sensor_id": pa.array(["s"] * len(machines))}
    return with_coded_ids(pa.record_batch(columns), owner, records)


@pytest.mark.parametrize(
    ("keys", "machines", "are_keys"),
    [
        ([b"a", b"bb", b"a"], ["a", "bb", "a"], True),
        (["ü".encode(), b"a"], ["ü", "a"], True),
        ([b"a", b"b"], ["b", "a"], False),
        ([b"a", b"bb"], ["a", "b"], False),
        ([b"ab", b"cd"], ["abc", "d"], False),
        ([b"\xff", b"a"], ["b", "a"], False),
        ([None, b"a"], ["", "a"], False),
    ],
)
def test_keys_are_what_the_column_says(keys: list[bytes | None], machines: list[str], are_keys: bool) -> None:
    column = [machine for machine in machines for _ in range(ROWS)]
    readings, found = coded(keys, column)
    assert found == are_keys
    assert readings.column("machine_id").dictionary_decode().to_pylist() == column
    assert sorted(readings.column("machine_id").dictionary.to_pylist()) == sorted(set(machines))


def test_one_row_of_another_machine_is_seen() -> None:
    readings, are_keys = coded([b"a", b"b"], ["a"] * ROWS + ["b"] * (ROWS - 1) + ["c"])
    assert not are_keys
    assert readings.column("machine_id").dictionary.to_pylist() == ["a", "b", "c"]


def test_a_key_without_readings_is_no_machine() -> None:
    readings, are_keys = coded([b"a", b"ghost"], ["a"] * ROWS)
    assert not are_keys
    assert readings.column("machine_id").dictionary.to_pylist() == ["a"]


def test_a_null_is_no_key() -> None:
    readings, are_keys = coded([b"a", b"b"], ["a"] * ROWS + [None] * ROWS)
    assert not are_keys
    assert readings.column("machine_id").null_count == ROWS
