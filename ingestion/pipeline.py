"""Messages in, committed windows out: what the stream worker does with its partitions, whoever fetches for it.

Knows ports only: no Kafka, no Faust, no files; everything about time comes in through two clocks. One thread at a time,
but for `read`, which is pure and may run ahead in another, and for commits, which an executor may make in its own.
A crash anywhere is safe: what is not committed is folded again, from the position that the sink restores.

A commit is of what was folded when it began. Commits are made one after another, each on top of the one before, and one
that fails ends the pipeline: the next call raises its error, and nothing later is ever committed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa

from ingestion.aggregator import Aggregator
from ingestion.checkpoint import read_head
from ingestion.counted_letters import MetLetters
from ingestion.errors import TryAgain
from ingestion.freshness import Freshness
from ingestion.idleness import Idleness
from ingestion.intake import DeadLetter, Intake, sift
from ingestion.ports import DeadLetterQueue, WindowCommit, WindowSink
from ingestion.preparation import Preparation
from ingestion.records import Record, Records
from ingestion.settings import StreamSettings
from ingestion.steps import Listener, unheard

log = logging.getLogger(__name__)


LONGEST_COMMIT = timedelta(minutes=10)
"""A commit that takes longer does not come back: the worker gives up, and another folds the same readings again."""


class End(NamedTuple):
    """What the broker last said of a partition: the offset after its last message, and when (monotonic seconds)."""

    offset: int
    answered_at: float


class Read(NamedTuple):
    """Records and what was made of them, ready to be folded."""

    records: Records
    intake: Intake


@dataclass(kw_only=True, slots=True)
class _Partition:
    aggregator: Aggregator
    next_offset: int
    idleness: Idleness
    letters: MetLetters
    freshness: Freshness = field(default_factory=Freshness)
    static_version: str = ""


Closed = tuple[Freshness, list[tuple[int, int]]]
"""What a commit makes readable of a partition, and where that is to be noted."""


class _AtOnce(Executor):
    """Runs what is submitted before it returns."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Pipeline:
    """Folds the assigned partitions and commits them."""

    def __init__(
        self,
        settings: StreamSettings,
        sink: WindowSink,
        dead_letters: DeadLetterQueue,
        *,
        preparation: Preparation | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        step: Listener = unheard,
        committer: Executor | None = None,
    ) -> None:
        """`committer` (of one thread) makes commits while folding goes on; without one a commit is made at once."""
        self._settings = settings
        self._sink = sink
        self._dead_letters = dead_letters
        self._preparation = preparation
        self._shape = settings.shape if preparation is None else preparation.definition.shape
        self._no_windows, self._no_late = self._shape.schema.empty_table(), self._shape.late_schema.empty_table()
        self._now = now
        self._monotonic = monotonic
        self._step = step
        self._committer = committer or _AtOnce()
        self._commit_running: Future[None] | None = None
        self._partitions: dict[int, _Partition] = {}
        self._forget()

    # -- partitions ---------------------------------------------------------------------------------------------------

    def assign(self, partitions: Sequence[int], earliest: Mapping[int, int]) -> dict[int, int]:
        """Take over these partitions and no others; returns from which offset each is to be fetched.

        earliest  the first offset that the broker still has, where a partition begins that was never committed
        """
        self.drop()
        for partition in partitions:
            checkpoint = self._sink.restore(partition)
            self._dead_letters.restore(partition)
            topic, shape = self._settings.topics.readings, self._shape
            letters = MetLetters(self._settings.topics, None if checkpoint is None else checkpoint.state)
            if checkpoint is None:
                aggregator, position = Aggregator(shape, topic, partition), earliest[partition]
            else:
                aggregator, position = Aggregator.restored(shape, topic, checkpoint), checkpoint.next_offset
            idleness = Idleness(self._settings.idle_timeout.total_seconds(), self._monotonic())
            held = _Partition(aggregator=aggregator, next_offset=position, idleness=idleness, letters=letters)
            if checkpoint is not None:
                held.freshness = Freshness.of(read_head(checkpoint.state).freshness)
            if self._preparation is not None:
                held.static_version = self._preparation.version_of(None if checkpoint is None else checkpoint.state)
            self._partitions[partition] = held
            self._step("restored")
        return {partition: held.next_offset for partition, held in self._partitions.items()}

    def drop(self) -> None:
        """Forget all partitions and everything of them that is not committed; a commit that has begun is finished."""
        self.settle()
        self._partitions = {}
        self._forget()

    def position(self, partition: int) -> int | None:
        """The next offset to be folded, or None where the partition is not ours."""
        held = self._partitions.get(partition)
        return held.next_offset if held else None

    # -- readings -----------------------------------------------------------------------------------------------------

    def read(self, partition: int, messages: Records | Iterable[Record]) -> Read:
        """Decode the next messages of a partition, in offset order. Depends on them alone; any thread may do it."""
        records = messages if isinstance(messages, Records) else Records.of(messages)
        return Read(records, sift(partition, records, self._settings))

    def take(self, partition: int, messages: Read | Records | Iterable[Record]) -> None:
        """Fold the next messages of a partition, in offset order; those before its position are passed over."""
        self._raise_failed()
        held = self._partitions[partition]
        read = messages if isinstance(messages, Read) else self.read(partition, messages)
        new = read.records.since(held.next_offset)
        records = held.letters.pick(new)
        intake = read.intake if records is read.records else sift(partition, records, self._settings)
        held.next_offset = max(held.next_offset, read.records.next_offset)
        if len(new):
            self._dirty.add(partition)
        if not len(records):
            return
        if self._preparation is not None:
            intake = self._preparation.prepare(partition, records, intake, held.static_version)
        held.aggregator.refuse(intake.refused)
        folded = held.aggregator.fold(intake.readings, intake.offsets)
        held.idleness.heard(intake.machines(), self._monotonic())

        self._letters.extend(intake.dead_letters)
        self._keep(folded.windows, folded.late)
        held.freshness.closed(folded.windows.num_rows, int(records.stamps_ms[0]))
        self._uncommitted += len(records) + intake.readings.num_rows
        if self._uncommitted >= self._settings.commit_readings:
            self.commit()

    def tend(self, ends: Mapping[int, End]) -> None:
        """Close the windows of silent machines, and commit what is due. To be called about each commit interval."""
        self._raise_failed()
        closed = False
        for partition, end in ends.items():
            held = self._partitions.get(partition)
            if held is None:
                continue
            held.idleness.answered(end.answered_at)
            if held.next_offset < end.offset or not held.aggregator.is_waiting:
                continue
            silent = held.idleness.silent(held.aggregator.machines_with_open_windows(), self._monotonic())
            if silent:
                self._keep(held.aggregator.close_idle(silent), self._no_late)
                self._dirty.add(partition)
                closed = True
        # the decision came from a clock: readings that are folded after it belong into a later commit
        if closed or self._is_due():
            self.commit()

    def commit(self) -> None:
        """Begin to make everything folded so far durable, after the commit that runs; without an executor: do it."""
        self.settle()
        if not self._dirty:
            return
        now = self._now()
        static_version = "" if self._preparation is None else self._preparation.newest()
        checkpoints = []
        closed = []
        for partition in sorted(self._dirty):
            held = self._partitions[partition]
            saved = held.aggregator.save(held.next_offset, now, held.freshness.minutes)
            closed.append((held.freshness, held.freshness.begin()))
            state = held.letters.written_into(saved.state)
            if self._preparation is not None:
                # what is folded from here on goes with this commit: whoever reads it again finds the same version
                state = self._preparation.written_into(state, static_version)
                held.static_version = static_version
            checkpoints.append(replace(saved, state=state))
        windows = pa.concat_tables([self._no_windows, *self._windows])
        late = pa.concat_tables([self._no_late, *self._late])
        commit = WindowCommit(windows=windows, late=late, checkpoints=checkpoints)
        letters, size = self._letters, self._uncommitted
        self._forget()
        self._commit_running = self._committer.submit(self._store, commit, letters, size, closed)
        self._raise_failed()

    def settle(self) -> None:
        """Wait for the commit that runs. Raises what made it fail, from then on each time."""
        if self._commit_running is not None:
            try:
                self._commit_running.result(LONGEST_COMMIT.total_seconds())
            except TimeoutError as error:
                if self._commit_running.done():
                    raise
                raise TryAgain(f"waited {LONGEST_COMMIT} for a commit to end") from error
            self._commit_running = None

    def _store(self, commit: WindowCommit, letters: Sequence[DeadLetter], size: int, closed: Sequence[Closed]) -> None:
        """Dead letters first, then late readings, windows and positions."""
        began = self._monotonic()
        self._step("commit begun")
        self._dead_letters.put(letters)
        self._sink.commit(commit)
        readable_ms = self._now().timestamp() * 1000
        for freshness, rows in closed:
            freshness.committed(rows, readable_ms)
        self._step("committed")
        log.info(
            "committed %d windows, %d late readings, %d dead letters of %d messages and readings in %.0f ms",
            commit.windows.num_rows,
            commit.late.num_rows,
            len(letters),
            size,
            (self._monotonic() - began) * 1000,
        )

    def _raise_failed(self) -> None:
        if self._commit_running is not None and self._commit_running.done():
            self.settle()

    def _is_due(self) -> bool:
        if not self._dirty or self._commit_running is not None:
            return False
        waited = self._monotonic() - self._committed_at
        if self._windows or self._late or self._letters:
            return waited >= self._settings.commit_interval.total_seconds()
        return waited >= self._settings.progress_interval.total_seconds()

    def _keep(self, windows: pa.Table, late: pa.Table) -> None:
        if windows.num_rows:
            self._windows.append(windows)
        if late.num_rows:
            self._late.append(late)

    def _forget(self) -> None:
        self._windows: list[pa.Table] = []
        self._late: list[pa.Table] = []
        self._letters: list[DeadLetter] = []
        self._dirty: set[int] = set()
        self._uncommitted = 0
        self._committed_at = self._monotonic()
