"""What stands in the lake decides whether a definition may start: its windows, or another's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from infra.wiring.defined_streams import (
    check_startable,
    preparation,
    reset,
    runs,
    settings_of,
    stream_progress,
    table_rows,
)
from ingestion.codec import encode_reading
from ingestion.definition import StreamDefinition
from ingestion.errors import InvalidInput
from ingestion.pipeline import Pipeline
from ingestion.reading import Reading
from ingestion.records import Message
from storage.lake.stream_tables import StreamTables
from storage.lake.window_sink import LakeWindowSink
from tests.contract.streams import MemoryLetters, Store
from tests.streams import a_definition

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = ("count", "mean", "min", "max", "stddev", "last", "median", "p95")


def defined(**changes: Any) -> StreamDefinition:
    """All columns of the built-in stream."""
    return a_definition(
        aggregates={"unit": {"function": "latest", "of": "unit"}} | {name: name for name in COLUMNS}, **changes
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def worked(settings: Settings, definition: StreamDefinition, messages: int) -> None:
    """A worker's work without its broker: partition 1, one commit."""
    home, tables = settings.paths, StreamTables.of(definition)
    sink = LakeWindowSink(
        lake_root=home.lake,
        state_root=home.stream_state,
        stream=definition.name,
        topic=definition.topic,
        windows=tables.windows,
        late=tables.late,
    )
    pipeline = Pipeline(
        settings_of(settings, definition), sink, MemoryLetters(Store()), preparation=preparation(settings, definition)
    )
    pipeline.assign([1], {1: 0})
    stamp = int(ORIGIN.timestamp() * 1000)
    for offset in range(messages):
        when = ORIGIN.replace(minute=offset)
        reading = Reading(machine_id="m", sensor_id="m/flow", event_time=when, value=float(offset))
        pipeline.take(1, [Message(offset, stamp + offset * 60_000, b"m", encode_reading(reading))])
    pipeline.commit()


def test_a_stream_goes_on_from_its_own_windows_and_refuses_anothers(settings: Settings) -> None:
    check_startable(settings, defined())
    assert (stream_progress(settings, defined()), table_rows(settings, defined())) == ({}, 0)
    worked(settings, defined(filter="value >= 1"), 4)
    same = defined(filter="value >= 1", description="another word", window={"size": "10s", "allowed_lateness": "1s"})
    check_startable(settings, same)
    progress = stream_progress(settings, same)
    assert {number: (one.next_offset, one.counters.accepted) for number, one in progress.items()} == {1: (4, 3)}
    assert table_rows(settings, same) == 2
    with pytest.raises(InvalidInput, match=r"stream small has windows in table small .*tidemill stream reset small"):
        check_startable(settings, defined(filter="value >= 2"))
    check_startable(settings, defined(filter="value >= 2", sink={"table": "elsewhere"}))
    check_startable(settings, defined(filter="value >= 2", source={"topic": "another"}))


def test_after_a_reset_nothing_is_left_of_it(settings: Settings) -> None:
    worked(settings, defined(), 4)
    other = defined(name="other")
    worked(settings, other, 3)
    assert reset(settings, defined()) == ["small", "small_late"]
    assert reset(settings, defined()) == []
    check_startable(settings, defined(filter="value >= 2"))
    assert stream_progress(settings, defined()) == {}
    assert stream_progress(settings, other)[1].next_offset == 3


def test_a_worker_is_known_by_what_it_said_last(settings: Settings) -> None:
    settings.paths.run.mkdir(parents=True)
    file = settings.paths.run / "stream-small.json"
    assert not runs(settings, "small")
    for said in ("{", json.dumps({"pid": "x"}), json.dumps({"pid": 2**22 + 1})):
        file.write_text(said)
        assert not runs(settings, "small")
