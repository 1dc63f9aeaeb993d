"""A backfill gives the live stream's rows: any readings in any disorder, any range, any loss, killed anywhere."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.aggregates.spec import BUILT_IN, READING_COLUMNS
from ingestion.backfill.engine import Backfill, BackfillReport, BackfillSpec, SettledUntil, nobody_else_writes
from ingestion.backfill.reads import EventRange, reads_of
from ingestion.checkpoint import unpack
from ingestion.codec import EPOCH, encode_batch, encode_reading
from ingestion.definition import StreamDefinition
from ingestion.pipeline import End, Pipeline
from ingestion.preparation import Preparation
from ingestion.reading import Reading, to_record_batch
from ingestion.records import Message
from ingestion.settings import StreamSettings
from ingestion.shape import BUILT_IN_KEY
from ingestion.watermark import NEVER
from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window
from tests.contract.histories import MemoryBackfillTable, MemoryHistory
from tests.contract.streams import Crash, MemoryLetters, MemorySink, Store
from tests.effort import examples

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
SKEW = timedelta(seconds=20)
LIVE = StreamSettings(
    window=TumblingWindow(size=timedelta(seconds=10), allowed_lateness=timedelta(seconds=5)),
    idle_timeout=timedelta(seconds=1000),
    max_future_skew=SKEW,
    commit_readings=5,
)
HISTORIC = replace(LIVE, idle_timeout=timedelta(0))
LENGTH = 120


@dataclass(frozen=True)
class Past:
    """What was sent to one partition, and how the stream is set."""

    messages: list[Message]
    correction: int
    window: Window | None = None

    @property
    def preparation(self) -> Preparation | None:
        """Of a defined stream, where the windows are not the built-in one's."""
        if self.window is None:
            return None
        window = replace(self.window, correction_lateness=timedelta(seconds=self.correction))
        definition = StreamDefinition(
            name="defined",
            topic="t",
            columns=READING_COLUMNS,
            key=BUILT_IN_KEY,
            window=window,
            aggregates=tuple(BUILT_IN),
            table="defined",
        )
        return Preparation(definition=definition, rows=None)

    @property
    def live(self) -> StreamSettings:
        return replace(LIVE, window=replace(LIVE.window, correction_lateness=timedelta(seconds=self.correction)))


def past_of(size: int, seed: int, correction: int) -> Past:
    """Readings of two machines: late by anything, early by up to more than the skew, repeated, broken.

    Chance decides, not Hypothesis: a dense past of its choices would take seconds to draw.
    """
    chance = random.Random(seed)
    messages = []
    for offset, stamp in enumerate(sorted(chance.randrange(LENGTH) for _ in range(size))):
        machine = chance.choice(["m0", "m1"])
        rows = [
            Reading(
                machine_id=machine,
                sensor_id=f"{machine}/s{chance.randrange(2)}",
                event_time=ORIGIN + timedelta(seconds=stamp - chance.randint(*chance.choice([(-25, 0), (0, 40)]))),
                value=chance.gauss(0, 1e3),
                sequence=chance.choice([None, 0, 1]),
            )
            for _ in range(chance.randint(1, 3))
        ]
        value = encode_batch(to_record_batch(rows)) if len(rows) > 1 else encode_reading(rows[0])
        if chance.random() < 0.05:
            value = b"{"
        at = int((ORIGIN + timedelta(seconds=stamp)).timestamp() * 1000)
        messages.append(Message(offset, at, machine.encode(), value))
    return Past(messages, correction)


def pasts() -> st.SearchStrategy[Past]:
    return st.builds(past_of, st.integers(0, 60), st.integers(0, 2**32), st.sampled_from([0, 15, 45]))


@st.composite
def spans(draw: st.DrawFn) -> EventRange:
    first = draw(st.integers(-40, LENGTH))
    length = draw(st.integers(1, 160))
    return EventRange(since=ORIGIN + timedelta(seconds=first), until=ORIGIN + timedelta(seconds=first + length))


def lived(past: Past, until: int, *, is_ended: bool = False) -> Store:
    """What the live stream has stored when it has read the messages before `until`."""
    store = Store()
    stream = past.live if not is_ended else replace(past.live, idle_timeout=timedelta(0))
    pipeline = Pipeline(stream, MemorySink(store), MemoryLetters(store), preparation=past.preparation)
    pipeline.assign([0], {0: 0})
    pipeline.take(0, past.messages[:until])
    pipeline.commit()
    if is_ended:
        pipeline.tend({0: End(until, time.monotonic())})
    return store


def settled_of(store: Store) -> SettledUntil:
    held = store.checkpoints.get(0)
    machines = unpack(held.state).machines if held else None
    known = (
        {}
        if machines is None
        else dict(zip(machines["machine_id"].to_pylist(), machines["settled_us"].to_pylist(), strict=True))
    )
    return lambda machine: known.get(machine, NEVER)


def backfilled(
    past: Past,
    span: EventRange,
    store: Store,
    *,
    is_own: bool,
    deleted: int = 0,
    piece_rows: int = 3,
    crash_at: str | None = None,
    **wanted: Any,
) -> BackfillReport:
    stream = replace(past.live, idle_timeout=timedelta(0))
    history = MemoryHistory({0: past.messages}, begin=deleted)
    held = store.checkpoints.get(0)
    ends = ({0: held.next_offset} if held else {}) if is_own else None
    reach = timedelta(0)
    if isinstance(past.window, SessionWindow):
        reach = span.since - EPOCH
        piece_rows = 10**9 if past.correction else piece_rows
    if past.window is not None:
        wanted["window"] = (*BUILT_IN_KEY, "window_start")
    reads = reads_of(history, span, ends=ends, max_future_skew=SKEW, reach=reach)
    engine = Backfill(
        BackfillSpec(span=span, piece_rows=piece_rows, **wanted),
        MemoryBackfillTable(store, crash_at),
        lambda sink, letters: Pipeline(stream, sink, letters, preparation=past.preparation),
        settled_until=settled_of(store) if is_own else nobody_else_writes,
    )
    return engine.run(reads)


def windows(store: Store, span: EventRange | None = None) -> list[dict[str, Any]]:
    rows = pa.concat_tables(store.windows).to_pylist()
    if span is not None:
        rows = [row for row in rows if span.since <= row["window_start"] < span.until]
    return sorted(rows, key=lambda row: (row["sensor_id"], row["window_start"], row["revision"]))


def late(store: Store, span: EventRange | None = None) -> list[dict[str, Any]]:
    rows = pa.concat_tables(store.late).to_pylist()
    if span is not None:
        rows = [row for row in rows if span.since <= row["window_start"] < span.until]
    return sorted(rows, key=str)


@settings(max_examples=examples(100), deadline=None)
@given(pasts(), spans())
def test_another_table_gets_the_live_rows_of_the_range(past: Past, span: EventRange) -> None:
    live = lived(past, len(past.messages), is_ended=True)
    into = Store()
    backfilled(past, span, into, is_own=False)
    assert windows(into) == windows(live, span)
    assert late(into) == late(live, span)


@settings(max_examples=examples(100), deadline=None)
@given(pasts(), spans(), st.integers(0, 50), st.data())
def test_lost_rows_come_back_and_nothing_else(past: Past, span: EventRange, until: int, data: st.DataObject) -> None:
    """Of what the live stream has settled; it goes on afterwards as if nobody had been there."""
    until = min(until, len(past.messages))
    live, store = lived(past, until), lived(past, until)
    whole = pa.concat_tables(live.windows)
    keys = sorted({(row["machine_id"], row["window_start"]) for row in whole.to_pylist()})
    settled = settled_of(live)
    ends = {(row["machine_id"], row["window_start"]): row["window_end"] for row in whole.to_pylist()}
    lost = {
        key
        for key in keys
        if int(ends[key].timestamp() * 1e6) <= settled(key[0])
        and span.since <= key[1] < span.until
        and data.draw(st.booleans())
    }
    kept = [row for row in whole.to_pylist() if (row["machine_id"], row["window_start"]) not in lost]
    store.windows = [pa.Table.from_pylist(kept, schema=whole.schema)]
    report = backfilled(past, span, store, is_own=True)
    assert windows(store) == windows(live)
    assert late(store) == late(live)
    assert report.written == whole.num_rows - len(kept)
    assert (report.different, report.late_written) == (0, 0)
    again = backfilled(past, span, store, is_own=True)
    assert (again.written, again.replaced, again.different, again.commits) == (0, 0, 0, 0)


@settings(max_examples=examples(60), deadline=None)
@given(pasts(), spans(), st.lists(st.sampled_from(["late", "windows", "done"]), max_size=4), st.integers(1, 20))
def test_killed_anywhere_and_begun_again_it_ends_with_the_same_rows(
    past: Past, span: EventRange, deaths: list[str], piece_rows: int
) -> None:
    calm, disturbed = Store(), Store()
    backfilled(past, span, calm, is_own=False)
    for death in deaths:
        try:
            backfilled(past, span, disturbed, is_own=False, crash_at=death, piece_rows=piece_rows)
        except Crash:
            continue
    backfilled(past, span, disturbed, is_own=False, piece_rows=piece_rows)
    assert windows(disturbed) == windows(calm)
    assert late(disturbed) == late(calm)


@settings(max_examples=examples(100), deadline=None)
@given(pasts(), spans(), st.integers(0, 50))
def test_where_messages_are_deleted_only_complete_windows_are_written(
    past: Past, span: EventRange, deleted: int
) -> None:
    deleted = min(deleted, len(past.messages))
    live = lived(past, len(past.messages), is_ended=True)
    into = Store()
    report = backfilled(past, span, into, is_own=False, deleted=deleted)
    whole = windows(live, span)
    assert all(row in whole for row in windows(into)), "no window is written that lacks readings"
    first = past.messages[deleted].timestamp if deleted < len(past.messages) else None
    complete = [] if deleted else whole
    if deleted and first is not None:
        beyond = ORIGIN.fromtimestamp(first / 1000, UTC) + SKEW
        complete = [row for row in whole if row["window_start"] >= beyond]
    assert all(row in windows(into) for row in complete)
    assert deleted or not report.incomplete


LATENESS = timedelta(seconds=5)
KINDS: list[Window] = [
    HoppingWindow(size=timedelta(seconds=10), every=timedelta(seconds=5), allowed_lateness=LATENESS),
    SessionWindow(gap=timedelta(seconds=12), allowed_lateness=LATENESS),
    SessionWindow(gap=timedelta(seconds=12), max_size=timedelta(seconds=18), allowed_lateness=LATENESS),
]


@settings(max_examples=examples(80), deadline=None)
@given(pasts(), spans(), st.sampled_from(KINDS), st.integers(0, 60))
def test_other_kinds_of_windows(past: Past, span: EventRange, kind: Window, until: int) -> None:
    past = replace(past, window=kind)
    live = lived(past, len(past.messages), is_ended=True)
    into = Store()
    backfilled(past, span, into, is_own=False)
    assert windows(into) == windows(live, span)
    assert late(into) == late(live, span)
    # and into the stream's own table, of which every row of the range is lost
    reached = lived(past, min(until, len(past.messages)))
    store = replace(reached, windows=[outside(rows, span) for rows in reached.windows])
    backfilled(past, span, store, is_own=True)
    settled = settled_of(reached)
    # a correction, published or not yet, may have moved a session's end beyond what is settled
    read = windows(lived(past, min(until, len(past.messages)), is_ended=True))
    open_ = {window_of(row) for row in read if end_us(row) > settled(row["machine_id"])}
    back = [row for row in windows(reached) if window_of(row) not in open_]
    assert all(row in windows(store) for row in back)
    assert all(row in windows(reached) for row in windows(store))


def window_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*BUILT_IN_KEY, "window_start"))


def end_us(row: dict[str, Any]) -> int:
    return int(row["window_end"].timestamp() * 1e6)


def outside(rows: pa.Table, span: EventRange) -> pa.Table:
    kept = [row for row in rows.to_pylist() if not span.since <= row["window_start"] < span.until]
    return pa.Table.from_pylist(kept, schema=rows.schema)
