"""Messages in, committed windows out: what the stream worker does with its partitions, whoever fetches for it.

Knows ports only: no Kafka, no Faust, no files; everything about time comes in through two clocks. One thread at a time.
A crash anywhere is safe: what is not committed is folded again, from the position that the sink restores.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow as pa

from ingestion.aggregator import Aggregator
from ingestion.counted_letters import CountedLetters
from ingestion.idleness import Idleness
from ingestion.intake import DeadLetter, Record, sift
from ingestion.ports import DeadLetterQueue, WindowCommit, WindowSink
from ingestion.preparation import Preparation
from ingestion.settings import StreamSettings
from ingestion.steps import Listener, unheard

log = logging.getLogger(__name__)


class End(NamedTuple):
    """What the broker last said of a partition: the offset after its last message, and when (monotonic seconds)."""

    offset: int
    answered_at: float


@dataclass(kw_only=True, slots=True)
class _Partition:
    aggregator: Aggregator
    next_offset: int
    idleness: Idleness
    letters: CountedLetters
    static_version: str = ""


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
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._dead_letters = dead_letters
        self._preparation = preparation
        self._shape = settings.shape if preparation is None else preparation.definition.shape
        self._no_windows, self._no_late = self._shape.schema.empty_table(), self._shape.late_schema.empty_table()
        self._now = now
        self._monotonic = monotonic
        self._step = step
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
            letters = CountedLetters()
            if checkpoint is None:
                aggregator, position = Aggregator(shape, topic, partition), earliest[partition]
            else:
                aggregator, position = Aggregator.restored(shape, topic, checkpoint), checkpoint.next_offset
                letters = CountedLetters.held_by(checkpoint.state)
            idleness = Idleness(self._settings.idle_timeout.total_seconds(), self._monotonic())
            held = _Partition(aggregator=aggregator, next_offset=position, idleness=idleness, letters=letters)
            if self._preparation is not None:
                held.static_version = self._preparation.version_of(None if checkpoint is None else checkpoint.state)
            self._partitions[partition] = held
            self._step("restored")
        return {partition: held.next_offset for partition, held in self._partitions.items()}

    def drop(self) -> None:
        """Forget all partitions and everything of them that is not committed."""
        self._partitions = {}
        self._forget()

    def position(self, partition: int) -> int | None:
        """The next offset to be folded, or None where the partition is not ours."""
        held = self._partitions.get(partition)
        return held.next_offset if held else None

    # -- readings -----------------------------------------------------------------------------------------------------

    def take(self, partition: int, messages: Sequence[Record]) -> None:
        """Fold the next messages of a partition, in offset order; those before its position are passed over."""
        held = self._partitions[partition]
        if messages and messages[0].offset < held.next_offset:
            messages = [message for message in messages if message.offset >= held.next_offset]
        if not messages:
            return
        next_offset = messages[-1].offset + 1
        messages = held.letters.pick(messages, self._settings.topics.dead_letters)
        intake = sift(partition, messages, self._settings)
        if self._preparation is not None:
            intake = self._preparation.prepare(partition, messages, intake, held.static_version)
        held.aggregator.refuse(intake.refused)
        folded = held.aggregator.fold(intake.readings, intake.offsets)
        held.next_offset = next_offset
        held.idleness.heard(intake.readings.column("machine_id").unique().to_pylist(), self._monotonic())

        self._letters.extend(intake.dead_letters)
        self._keep(folded.windows, folded.late)
        self._dirty.add(partition)
        self._uncommitted += len(messages) + intake.readings.num_rows
        if self._uncommitted >= self._settings.commit_readings:
            self.commit()

    def tend(self, ends: Mapping[int, End]) -> None:
        """Close the windows of silent machines, and commit what is due. To be called about each commit interval."""
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
        # the decision came from a clock: readings that are folded after it must find it committed
        if closed or self._is_due():
            self.commit()

    def commit(self) -> None:
        """Make everything folded so far durable: dead letters first, then late readings, windows and positions."""
        if not self._dirty:
            return
        began = self._monotonic()
        self._step("commit begun")
        self._dead_letters.put(self._letters)
        now = self._now()
        static_version = "" if self._preparation is None else self._preparation.newest()
        checkpoints = []
        for partition in sorted(self._dirty):
            held = self._partitions[partition]
            saved = held.aggregator.save(held.next_offset, now)
            state = held.letters.written_into(saved.state)
            if self._preparation is not None:
                state = self._preparation.written_into(state, static_version)
            checkpoints.append(replace(saved, state=state))
        windows = pa.concat_tables([self._no_windows, *self._windows])
        late = pa.concat_tables([self._no_late, *self._late])
        self._sink.commit(WindowCommit(windows=windows, late=late, checkpoints=checkpoints))
        self._step("committed")
        for partition in self._dirty:
            # from here on only: who reads again what was committed before must find what it was joined with
            self._partitions[partition].static_version = static_version
        log.info(
            "committed %d windows, %d late readings, %d dead letters of %d messages and readings in %.0f ms",
            windows.num_rows,
            late.num_rows,
            len(self._letters),
            self._uncommitted,
            (self._monotonic() - began) * 1000,
        )
        self._forget()

    def _is_due(self) -> bool:
        if not self._dirty:
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
