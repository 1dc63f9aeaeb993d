"""A backfill: the stream's own pipeline folds history, and what the table lacks of its rows is written.

Nothing is kept beside the tables: killed anywhere and begun again it folds the same messages, finds what is written
already, and writes the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.backfill.judgement import codes, judged, lacking
from ingestion.backfill.ports import BackfillTable
from ingestion.backfill.reads import EventRange, Read
from ingestion.backfill.recorded import NOWHERE, TOPIC
from ingestion.checkpoint import Checkpoint, Counters, read_head, unpack
from ingestion.codec import to_microseconds
from ingestion.intake import DeadLetter
from ingestion.pipeline import End, Pipeline
from ingestion.ports import DeadLetterQueue, WindowCommit, WindowSink
from ingestion.records import Record

_PIECE_ROWS = 200_000
_MESSAGES = 2_000
_MOST_DIFFERENCES = 20
_MICROSECOND = timedelta(microseconds=1)


@dataclass(kw_only=True, slots=True)
class BackfillReport:
    """What came of a backfill so far. Windows are counted in rows: one a sensor and revision.

    messages, readings  folded; a reading that is late or a repeat is one, too
    late, duplicates, dead_letters   of those, and refused ones by reason; of all readings, of the range or not
    written             rows that the table lacked (in a dry run: that it lacks)
    replaced            rows written as a new revision, as they differ from the table's
    equal               rows that the table has
    different           rows that differ from the table's, and are left
    left_to_stream      rows of windows that the live stream has not settled: it writes or may correct them itself
    incomplete          rows of windows of which messages are no longer kept
    closed_at_end       of the rows above, those of windows that no later reading closed, but the end of the data
    late_written, late_equal   late readings of the range that the table lacked, and that it has
    differences         the first windows that differ
    """

    messages: int = 0
    readings: int = 0
    late: int = 0
    duplicates: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    written: int = 0
    replaced: int = 0
    equal: int = 0
    different: int = 0
    left_to_stream: int = 0
    incomplete: int = 0
    closed_at_end: int = 0
    late_written: int = 0
    late_equal: int = 0
    commits: int = 0
    differences: list[Mapping[str, Any]] = field(default_factory=list)
    share: float = 0.0
    seconds: float = 0.0
    is_stopped: bool = False


SettledUntil = Callable[[str], int]
"""Event time (microseconds since 1970) up to which the table's live stream will write no row of a machine's windows."""


def nobody_else_writes(machine: str) -> int:
    """The SettledUntil of a table that no live stream writes to."""
    return 2**62


@dataclass(frozen=True, kw_only=True, slots=True)
class BackfillSpec:
    """What is wanted.

    window       columns that the rows of one window have in common
    is_recorded  readings come from files: topic, partition and offsets of the rows say so
    replaces     windows that differ are written as a new revision
    is_dry_run   nothing is written
    piece_rows   rows of windows that are compared and committed at a time
    """

    span: EventRange
    window: Sequence[str] = ("machine_id", "window_start")
    is_recorded: bool = False
    replaces: bool = False
    is_dry_run: bool = False
    piece_rows: int = _PIECE_ROWS


class Backfill:
    """One backfill; used once, by one thread."""

    def __init__(
        self,
        spec: BackfillSpec,
        table: BackfillTable,
        pipeline_of: Callable[[WindowSink, DeadLetterQueue], Pipeline],
        *,
        settled_until: SettledUntil = nobody_else_writes,
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        """
        pipeline_of  gives a pipeline of the stream with an idle timeout of 0: it closes what is open when it is told
                     that a partition has ended
        """
        self.report = BackfillReport()
        self._spec = spec
        self._pipeline_of = pipeline_of
        self._pieces = _Pieces(spec, table, self.report, settled_until, step)
        self._step = step

    def run(
        self,
        reads: Sequence[Read],
        *,
        stop: threading.Event | None = None,
        progress: Callable[[BackfillReport], None] = lambda report: None,
    ) -> BackfillReport:
        """Fold every partition and write what is lacking. Raises Fenced, TryAgain, InvalidInput."""
        began = time.monotonic()
        report = self.report
        whole = sum(read.end - read.begin for read in reads) or 1
        before = 0
        for read in reads:
            pipeline = self._pipeline_of(self._pieces, _NoLetters())
            pipeline.assign([read.partition], {read.partition: read.begin})
            self._pieces.begin(read)
            for messages in self._in_pieces(read):
                if stop is not None and stop.is_set():
                    report.is_stopped = True
                    return report
                pipeline.take(read.partition, messages)
                report.messages += len(messages)
                report.share = (before + messages[-1].offset + 1 - read.begin) / whole
                report.seconds = time.monotonic() - began
                progress(report)
            self._step("read")
            pipeline.commit()
            self._pieces.ends()
            reached = pipeline.position(read.partition)
            pipeline.tend({read.partition: End(read.end if reached is None else reached, time.monotonic())})
            pipeline.commit()
            self._pieces.flush()
            before += read.end - read.begin
        report.share, report.seconds = 1.0, time.monotonic() - began
        progress(report)
        return report

    def _in_pieces(self, read: Read) -> Iterator[Sequence[Record]]:
        """The messages, no more at a time than make rows to keep at once: one may hold hundreds of readings."""
        most = min(_MESSAGES, self._spec.piece_rows)
        for messages in read.messages():
            for begin in range(0, len(messages), most):
                yield messages[begin : begin + most]


class _NoLetters:
    """Dead letters of history were written when it was the present: they are counted, by the aggregator."""

    def restore(self, partition: int) -> None:
        pass

    def put(self, letters: Sequence[DeadLetter]) -> None:
        pass


class _Pieces:
    """A WindowSink that keeps the rows of the range, and compares and writes them a piece at a time.

    A machine's window is in one piece with all its revisions: it is kept until it is settled.
    """

    def __init__(
        self,
        spec: BackfillSpec,
        table: BackfillTable,
        report: BackfillReport,
        settled_until: SettledUntil,
        step: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._table = table
        self._report = report
        self._settled_until = settled_until
        self._step = step
        self._before = Counters()
        self._windows: list[pa.Table] = []
        self._late: list[pa.Table] = []
        self._identical_from = spec.span.since
        self._is_ending = False

    def begin(self, read: Read) -> None:
        """A partition's rows come."""
        self._identical_from = read.identical_from
        self._before = Counters()
        self._is_ending = False

    def ends(self) -> None:
        """What comes now was closed by the end of the data."""
        self._is_ending = True

    def restore(self, partition: int) -> Checkpoint | None:
        return None

    def commit(self, commit: WindowCommit) -> None:
        self._count(read_head(commit.checkpoints[0].state).counters)
        windows = self._of_range(commit.windows)
        if self._is_ending:
            self._report.closed_at_end += windows.num_rows
        if windows.num_rows:
            self._windows.append(windows)
        late = self._of_range(commit.late)
        if late.num_rows:
            self._late.append(late)
        if sum(rows.num_rows for rows in self._windows) >= self._spec.piece_rows:
            self._write_settled(commit.checkpoints[0].state)

    def flush(self) -> None:
        """Compare and write what is kept."""
        windows, late = _joined(self._windows), _joined(self._late)
        self._windows, self._late = [], []
        self._write(windows, late)

    def _write_settled(self, state: bytes) -> None:
        machines = unpack(state).machines
        settled = dict(zip(machines["machine_id"].to_pylist(), machines["settled_us"].to_pylist(), strict=True))
        windows = _joined(self._windows)
        assert windows is not None
        done = _ends_us(windows) <= _of_machines(windows, lambda machine: settled[machine])
        late, self._late = _joined(self._late), []
        self._windows = [windows.filter(pa.array(~done))]
        self._write(windows.filter(pa.array(done)), late)

    def _write(self, windows: pa.Table | None, late: pa.Table | None) -> None:
        ours = None if windows is None else self._ours(windows)
        added = self._new_windows(ours) if ours is not None and ours.num_rows else None
        fresh = self._new_late(late) if late is not None and late.num_rows else None
        if self._spec.is_dry_run or (added is None and fresh is None):
            return
        self._step("compared")
        self._table.add(added, fresh)
        self._report.commits += 1
        self._step("written")

    def _new_windows(self, made: pa.Table) -> pa.Table | None:
        if self._spec.is_recorded:
            made = _without_place(made)
        least, greatest = _extremes(made["window_start"])
        found = self._table.windows(least, greatest + _MICROSECOND)
        judgement = judged(made, found, window=self._spec.window)
        report = self._report
        report.written += judgement.fresh.num_rows
        report.equal += judgement.equal
        rows = judgement.fresh
        if self._spec.replaces:
            report.replaced += judgement.different
            rows = pa.concat_tables([rows, judgement.newer])
        else:
            report.different += judgement.different
        room = _MOST_DIFFERENCES - len(report.differences)
        report.differences.extend(judgement.differences[:room])
        return rows if rows.num_rows else None

    def _new_late(self, made: pa.Table) -> pa.Table | None:
        least, greatest = _extremes(made["event_time"])
        # a silence that ended by the clock moves a watermark, and nothing else of a late reading
        columns = [name for name in made.column_names if name != "watermark"]
        fresh = lacking(made, self._table.late(least, greatest + _MICROSECOND), columns)
        self._report.late_written += fresh.num_rows
        self._report.late_equal += made.num_rows - fresh.num_rows
        return fresh if fresh.num_rows else None

    def _of_range(self, rows: pa.Table) -> pa.Table:
        """Rows of windows that begin in the range; of those that are not complete the number alone."""
        start, span = rows["window_start"], self._spec.span
        inside = rows.filter(pc.and_(pc.greater_equal(start, _scalar(span.since)), pc.less(start, _scalar(span.until))))
        if self._identical_from <= span.since:
            return inside
        complete = inside.filter(pc.greater_equal(inside["window_start"], _scalar(self._identical_from)))
        if "revision" in rows.column_names:
            self._report.incomplete += inside.num_rows - complete.num_rows
        return complete

    def _ours(self, windows: pa.Table) -> pa.Table:
        """Without the windows of which the live stream may still write a row."""
        if windows.num_rows == 0:
            return windows
        (window,) = codes((windows,), self._spec.window)
        theirs = _ends_us(windows) > _of_machines(windows, self._settled_until)
        left = np.isin(window, window[theirs])
        self._report.left_to_stream += int(left.sum())
        return windows.filter(pa.array(~left))

    def _count(self, now: Counters) -> None:
        """Counters of a partition begin at 0 with it."""
        report, before = self._report, self._before
        readings = now.accepted + now.late + now.duplicates
        report.readings += readings - (before.accepted + before.late + before.duplicates)
        report.late += now.late - before.late
        report.duplicates += now.duplicates - before.duplicates
        for reason, count in now.dead_letters.items():
            more = count - before.dead_letters.get(reason, 0)
            if more:
                report.dead_letters[reason] = report.dead_letters.get(reason, 0) + more
        self._before = now


def _joined(parts: Sequence[pa.Table]) -> pa.Table | None:
    return pa.concat_tables(parts) if parts else None


def _without_place(rows: pa.Table) -> pa.Table:
    nowhere = {"topic": TOPIC, "partition": NOWHERE, "first_offset": NOWHERE, "last_offset": NOWHERE}
    for name, held in nowhere.items():
        place = rows.schema.get_field_index(name)
        kind = rows.schema.field(place)
        rows = rows.set_column(place, kind, pa.repeat(pa.scalar(held, kind.type), rows.num_rows))
    return rows


def _ends_us(windows: pa.Table) -> np.ndarray:
    return np.asarray(windows["window_end"].cast(pa.int64()).to_numpy(), np.int64)


def _of_machines(rows: pa.Table, moment_us: Callable[[str], int]) -> np.ndarray:
    encoded = rows["machine_id"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    moments = np.array([moment_us(machine) for machine in encoded.dictionary.to_pylist()], np.int64)
    return np.asarray(moments[encoded.indices.to_numpy()])


def _extremes(column: pa.ChunkedArray) -> tuple[datetime, datetime]:
    found = pc.min_max(column)
    return found["min"].as_py(), found["max"].as_py()


def _scalar(moment: datetime) -> pa.Scalar:
    # a moment may be datetime.max, which only microseconds hold
    return pa.scalar(to_microseconds(moment.astimezone(UTC)), pa.int64()).cast(pa.timestamp("us", tz="UTC"))
