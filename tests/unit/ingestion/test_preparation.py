"""What of a preparation is part of a partition's state, and when a newer version of the static data is taken up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from ingestion.codec import encode_reading
from ingestion.definition import StreamDefinition
from ingestion.errors import InvalidInput
from ingestion.pipeline import Pipeline
from ingestion.preparation import Preparation, Prepared
from ingestion.reading import Reading
from ingestion.records import Message
from ingestion.settings import StreamSettings
from tests.contract.streams import MemoryLetters, MemorySink, Store
from tests.streams import a_definition

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(ORIGIN.timestamp() * 1000)


COLUMNS = ("count", "mean", "min", "max", "stddev", "last", "median", "p95")


def defined(**changes: Any) -> StreamDefinition:
    """All columns of the built-in stream."""
    return a_definition(
        aggregates={"unit": {"function": "latest", "of": "unit"}} | {name: name for name in COLUMNS}, **changes
    )


class Versioned:
    """Rows as they are; remembers with which version. `newest` is the database's."""

    def __init__(self) -> None:
        self.newest = "a"
        self.used: list[tuple[str, list[int]]] = []

    def version(self) -> str:
        return self.newest

    def prepare(self, readings: pa.RecordBatch, offsets: npt.NDArray[np.int64], version: str) -> Prepared:
        self.used.append((version, offsets.tolist()))
        return Prepared(readings, offsets)


def a_message(offset: int, **fields: Any) -> Message:
    reading = Reading(machine_id="m", sensor_id="m/flow", event_time=ORIGIN, value=1.0)
    return Message(offset, STAMP, b"m", json.dumps(json.loads(encode_reading(reading)) | fields).encode())


def a_pipeline(store: Store, rows: Versioned | None, definition: StreamDefinition | None = None) -> Pipeline:
    preparation = Preparation(definition=definition or defined(), rows=rows)
    pipeline = Pipeline(StreamSettings(), MemorySink(store), MemoryLetters(store), preparation=preparation)
    pipeline.assign([0], {0: 0})
    return pipeline


def test_readings_are_read_again_with_the_version_that_they_had() -> None:
    store, rows = Store(), Versioned()
    pipeline = a_pipeline(store, rows)
    pipeline.take(0, [a_message(0)])
    pipeline.commit()
    rows.newest = "b"
    pipeline.take(0, [a_message(1)])
    assert rows.used == [("a", [0]), ("a", [1])], "a newer version is taken up with a commit only"
    # the worker dies; what it had not committed is read again, as it was
    again = Versioned()
    again.newest = "b"
    pipeline = a_pipeline(store, again)
    pipeline.take(0, [a_message(1)])
    pipeline.commit()
    pipeline.take(0, [a_message(2)])
    assert again.used == [("a", [1]), ("b", [2])]


def test_a_state_of_another_definition_is_refused_with_the_mend() -> None:
    store = Store()
    pipeline = a_pipeline(store, None)
    pipeline.take(0, [a_message(0)])
    pipeline.commit()
    a_pipeline(store, None, defined(description="of no weight"))
    with pytest.raises(InvalidInput, match=r"stream small has windows .* another definition made.*stream reset small"):
        a_pipeline(store, None, defined(filter="value > 0"))


def test_a_wrong_field_is_refused_and_counted_by_the_stream_that_declares_it() -> None:
    store = Store()
    definition = defined(source={"fields": {"ambient": "double"}})
    pipeline = a_pipeline(store, None, definition)
    pipeline.take(0, [a_message(0, ambient=1), a_message(1, ambient="hot")])
    pipeline.commit()
    assert [letter.reason for *_, letter in store.letters] == ["wrong_field"]
