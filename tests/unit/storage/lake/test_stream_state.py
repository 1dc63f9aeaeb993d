"""State files of streams: found by stream and topic, and never another's."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from storage.lake.stream_state import (
    PartitionIds,
    forget,
    partitions_with_state,
    remove_superseded,
    write_state,
)


def ids(stream: str, topic: str, partition: int) -> PartitionIds:
    return PartitionIds(stream=stream, topic=topic, partition=partition)


def test_partitions_are_counted_by_their_states(tmp_path: Path) -> None:
    assert partitions_with_state(tmp_path / "none", "a", "t") == 0
    for partition in (0, 3, 11):
        write_state(tmp_path, ids("a", "t", partition), b"state")
    write_state(tmp_path, ids("a", "t-7", 40), b"state")
    write_state(tmp_path, ids("a", "t.7", 40), b"state")
    assert partitions_with_state(tmp_path, "a", "t") == 12
    assert partitions_with_state(tmp_path, "a", "t-7") == 41


def test_a_stream_is_forgotten_alone(tmp_path: Path) -> None:
    for held in (ids("a", "t", 0), ids("a", "t", 1), ids("b", "t", 0), ids("a", "t-0", 0)):
        write_state(tmp_path, held, b"state")
    forget(tmp_path, "a", "t")
    assert partitions_with_state(tmp_path, "a", "t") == 0
    assert partitions_with_state(tmp_path, "b", "t") == 1
    assert partitions_with_state(tmp_path, "a", "t-0") == 1


def test_superseded_states_of_a_topic_whose_name_goes_on_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.lake.stream_state.GRACE", timedelta(seconds=-1))
    other = ids("a", "t-1", 0)
    write_state(tmp_path, other, b"live")
    old, new = (write_state(tmp_path, ids("a", "t", 1), content) for content in (b"old", b"new"))
    remove_superseded(tmp_path, ids("a", "t", 1), new)
    assert not ids("a", "t", 1).file(tmp_path, old).exists()
    assert partitions_with_state(tmp_path, "a", "t-1") == 1
