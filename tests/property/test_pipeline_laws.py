"""The pipeline dies anywhere, any number of times, and is cut anyhow: what is stored equals an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.aggregator import Aggregator
from ingestion.checkpoint import unpack
from ingestion.codec import encode_batch, encode_reading
from ingestion.pipeline import End, Pipeline
from ingestion.reading import Reading, to_record_batch
from ingestion.records import Message
from ingestion.settings import StreamSettings
from ingestion.window import TumblingWindow
from tests.contract.streams import Crash, MemoryLetters, MemorySink, PositionFirstSink, Store
from tests.effort import examples

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
STAMP = int(ORIGIN.timestamp() * 1000) + 3_600_000
SETTINGS = StreamSettings(
    window=TumblingWindow(size=timedelta(seconds=10), allowed_lateness=timedelta(seconds=5)),
    commit_interval=timedelta(0),
    idle_timeout=timedelta(seconds=1000),
)


def reading(seconds: int, value: float, sequence: int | None) -> Reading:
    return Reading(
        machine_id="m",
        sensor_id="m/flow",
        event_time=ORIGIN + timedelta(seconds=seconds),
        value=value,
        sequence=sequence,
    )


single = st.builds(reading, st.integers(0, 60), st.floats(-1e6, 1e6), st.one_of(st.none(), st.integers(0, 1)))
value = st.one_of(
    single.map(encode_reading),
    st.lists(
        st.one_of(single, st.builds(reading, st.integers(0, 60), st.just(float("nan")), st.none())), max_size=4
    ).map(lambda rows: encode_batch(to_record_batch(rows))),
    st.sampled_from([b"{", b"rubbish", b"", b'{"machine_id": 1}', encode_reading(reading(-(10**9), 1.0, None))]),
)
messages = st.lists(value, max_size=40).map(
    lambda values: [Message(offset, STAMP, b"m", held) for offset, held in enumerate(values)]
)
death = st.one_of(
    st.none(), st.sampled_from(["late", "windows", "done"]), st.integers(0, 3).map(lambda letters: f"letters {letters}")
)
life = st.tuples(st.lists(st.integers(1, 10), min_size=1, max_size=4), death)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


def live(
    store: Store,
    all_messages: list[Message],
    cuts: list[int],
    death: str | None,
    sink: type[MemorySink] = MemorySink,
    stream: StreamSettings = SETTINGS,
    committer: Executor | None = None,
) -> None:
    """One life of the worker: it takes as many messages as the cuts say, and dies in a commit or between two."""
    letters = MemoryLetters(store, int(death.split()[1]) if death and death.startswith("letters") else None)
    pipeline = Pipeline(stream, sink(store, death), letters, now=lambda: ORIGIN, monotonic=Clock(), committer=committer)
    position = pipeline.assign([0], {0: 0})[0]
    try:
        for cut in cuts:
            chunk = all_messages[position : position + cut]
            if not chunk:
                return
            pipeline.take(0, chunk)
            position = pipeline.position(0) or 0
            pipeline.tend({0: End(len(all_messages) + 1, 0.0)})
    except Crash:
        return


def finish(
    store: Store,
    all_messages: list[Message],
    sink: type[MemorySink] = MemorySink,
    stream: StreamSettings = SETTINGS,
) -> dict[str, Any]:
    """A last life without trouble; what is stored then."""
    pipeline = Pipeline(stream, sink(store), MemoryLetters(store), now=lambda: ORIGIN, monotonic=Clock())
    position = pipeline.assign([0], {0: 0})[0]
    pipeline.take(0, all_messages[position:])
    pipeline.commit()
    key = [("window_start", "ascending"), ("sensor_id", "ascending"), ("revision", "ascending")]
    held = store.checkpoints.get(0)
    opened = Aggregator.restored(stream.shape, "t", held) if held else None
    return {
        "windows": pa.concat_tables(store.windows).sort_by(key).to_pylist(),
        "late": pa.concat_tables(store.late).to_pylist(),
        "letters": [(offset, part, letter.reason, letter.rows) for _, offset, part, letter in store.letters],
        # how soon rows were readable is the history of the lives, not of the readings
        "head": replace(unpack(held.state).head, freshness={}) if held else None,
        "open": opened.close_idle(opened.machines_with_open_windows()).to_pylist() if opened else None,
    }


@settings(max_examples=examples(100), deadline=None)
@given(messages, st.lists(life, max_size=6))
def test_lives_and_deaths_change_nothing(
    all_messages: list[Message], lives: list[tuple[list[int], str | None]]
) -> None:
    disturbed = Store()
    for cuts, death in lives:
        live(disturbed, all_messages, cuts, death)
    left, right = finish(disturbed, all_messages), finish(Store(), all_messages)
    assert left == right


class Late(Executor):
    """Makes a commit at the last moment, when the pipeline waits for it: much has been folded by then."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return Waiting(lambda: function(*arguments, **named))


class Waiting(Future[Any]):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            try:
                self.set_result(self._work())
            except Crash as crash:
                self.set_exception(crash)
        return super().result(timeout)


@settings(max_examples=examples(100), deadline=None)
@given(messages, st.lists(life, max_size=6), st.sampled_from([1, 5, 1000]))
def test_commits_beside_the_folding_change_nothing(
    all_messages: list[Message], lives: list[tuple[list[int], str | None]], commit_readings: int
) -> None:
    stream = replace(SETTINGS, commit_readings=commit_readings)
    disturbed = Store()
    for cuts, death in lives:
        live(disturbed, all_messages, cuts, death, stream=stream, committer=Late())
    assert finish(disturbed, all_messages) == finish(Store(), all_messages)


@pytest.mark.parametrize("committer", [None, Late()])
def test_nothing_is_committed_after_a_commit_that_failed(committer: Executor | None) -> None:
    store = Store()
    letters = MemoryLetters(store)
    pipeline = Pipeline(
        SETTINGS, MemorySink(store, "windows"), letters, now=lambda: ORIGIN, monotonic=Clock(), committer=committer
    )
    pipeline.assign([0], {0: 0})
    pipeline.take(0, [Message(0, STAMP, b"m", encode_reading(reading(1, 1.0, None)))])
    with pytest.raises(Crash):
        pipeline.commit()
        pipeline.settle()
    with pytest.raises(Crash):
        pipeline.take(0, [Message(1, STAMP, b"m", encode_reading(reading(2, 1.0, None)))])
        pipeline.commit()
    with pytest.raises(Crash):
        pipeline.drop()
    assert store.checkpoints == {}


@settings(max_examples=examples(100), deadline=None)
@given(messages, st.lists(life, max_size=6), st.integers(1, 40))
def test_lives_and_deaths_change_no_revision(
    all_messages: list[Message], lives: list[tuple[list[int], str | None]], seconds: int
) -> None:
    stream = replace(SETTINGS, window=replace(SETTINGS.window, correction_lateness=timedelta(seconds=seconds)))
    disturbed = Store()
    for cuts, death in lives:
        live(disturbed, all_messages, cuts, death, stream=stream)
    assert finish(disturbed, all_messages, stream=stream) == finish(Store(), all_messages, stream=stream)


def test_silence_publishes_corrections() -> None:
    store, clock = Store(), Clock()
    window = replace(SETTINGS.window, allowed_lateness=timedelta(0), correction_lateness=timedelta(seconds=60))
    stream = replace(SETTINGS, window=window, idle_timeout=timedelta(seconds=2))
    pipeline = Pipeline(stream, MemorySink(store), MemoryLetters(store), now=lambda: ORIGIN, monotonic=clock)
    pipeline.assign([0], {0: 0})
    for offset, seconds in enumerate((1, 12)):
        pipeline.take(0, [Message(offset, STAMP, b"m", encode_reading(reading(seconds, 1.0, None)))])
    for _ in range(4):
        clock.now += 1
        pipeline.tend({0: End(2, clock.now)})
    pipeline.take(0, [Message(2, STAMP, b"m", encode_reading(reading(2, 1.0, None)))])
    for _ in range(4):
        clock.now += 1
        pipeline.tend({0: End(3, clock.now)})
    rows = pa.concat_tables(store.windows).to_pylist()
    assert [(row["window_start"].second, row["revision"], row["count"]) for row in rows] == [
        (0, 0, 1),
        (10, 0, 1),
        (0, 1, 2),
    ]


def test_the_comparison_is_red_for_a_position_that_goes_before_its_data() -> None:
    all_messages = [
        Message(offset, STAMP, b"m", encode_reading(reading(seconds, 1.0, None)))
        for offset, seconds in enumerate((1, 2, 30, 31, 60))
    ]
    disturbed = Store()
    live(disturbed, all_messages, [3], "windows", PositionFirstSink)
    left = finish(disturbed, all_messages, PositionFirstSink)
    right = finish(Store(), all_messages, PositionFirstSink)
    assert left["windows"] != right["windows"]


def test_silence_is_decided_at_the_end_of_the_partition_only() -> None:
    store = Store()
    clock = Clock()
    patient = replace(SETTINGS, idle_timeout=timedelta(seconds=2))
    pipeline = Pipeline(patient, MemorySink(store), MemoryLetters(store), now=lambda: ORIGIN, monotonic=clock)
    pipeline.assign([0, 1], {0: 0, 1: 0})
    pipeline.take(0, [Message(0, STAMP, b"m", encode_reading(reading(1, 2.0, None)))])
    for _ in range(4):
        clock.now += 1
        pipeline.tend({0: End(5, clock.now)})  # there are more messages: the worker lags
    assert pa.concat_tables(store.windows).num_rows == 0
    for _ in range(4):
        clock.now += 1
        pipeline.tend({0: End(1, clock.now)})
    assert pa.concat_tables(store.windows).num_rows == 1
    # recorded: the next worker knows, and what comes now is late
    successor = Pipeline(patient, MemorySink(store), MemoryLetters(store), now=lambda: ORIGIN, monotonic=clock)
    successor.assign([0], {0: 0})
    successor.take(0, [Message(1, STAMP, b"m", encode_reading(reading(2, 2.0, None)))])
    successor.commit()
    assert pa.concat_tables(store.late).num_rows == 1


def test_a_broker_that_is_away_makes_nobody_silent() -> None:
    store = Store()
    clock = Clock()
    pipeline = Pipeline(
        replace(SETTINGS, idle_timeout=timedelta(seconds=8)),
        MemorySink(store),
        MemoryLetters(store),
        now=lambda: ORIGIN,
        monotonic=clock,
    )
    pipeline.assign([0], {0: 0})
    pipeline.take(0, [Message(0, STAMP, b"m", encode_reading(reading(1, 2.0, None)))])
    answered = clock.now
    for _ in range(30):
        clock.now += 1
        pipeline.tend({0: End(1, answered)})
    assert pa.concat_tables(store.windows).num_rows == 0
    for _ in range(7):  # it is back, and so may be whoever was cut off with it
        clock.now += 1
        pipeline.tend({0: End(1, clock.now)})
    assert pa.concat_tables(store.windows).num_rows == 0
    for _ in range(3):
        clock.now += 1
        pipeline.tend({0: End(1, clock.now)})
    assert pa.concat_tables(store.windows).num_rows == 1
