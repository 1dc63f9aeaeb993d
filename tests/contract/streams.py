"""The stream's ports in memory, for contract suites and the laws of the pipeline. Workers may share a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ingestion.checkpoint import Checkpoint
from ingestion.errors import Fenced
from ingestion.intake import DeadLetter
from ingestion.ports import WindowCommit
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA


class Crash(Exception):
    """The worker dies here."""


@dataclass
class Store:
    """What outlives a worker."""

    windows: list[pa.Table] = field(default_factory=lambda: [WINDOW_SCHEMA.empty_table()])
    late: list[pa.Table] = field(default_factory=lambda: [LATE_SCHEMA.empty_table()])
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    late_positions: dict[int, int] = field(default_factory=dict)
    letters: list[tuple[int, int, int, DeadLetter]] = field(default_factory=list)
    backfills: Counter[str] = field(default_factory=Counter)


class MemorySink:
    """A WindowSink on a Store, in the order of steps of the lake's. `crash_at` names the step before which it dies."""

    def __init__(self, store: Store, crash_at: str | None = None) -> None:
        self.store = store
        self.crash_at = crash_at
        self._expected: dict[int, int | None] = {}

    def restore(self, partition: int) -> Checkpoint | None:
        checkpoint = self.store.checkpoints.get(partition)
        self._expected[partition] = checkpoint.next_offset if checkpoint else None
        return checkpoint

    def commit(self, commit: WindowCommit) -> None:
        self._step("late")
        self._write_late(commit)
        self._step("windows")
        self._check(commit)
        self.store.windows.append(commit.windows)
        self._move(commit)
        self._step("done")

    def _write_late(self, commit: WindowCommit) -> None:
        for checkpoint in commit.checkpoints:
            written = self.store.late_positions.get(checkpoint.partition, 0)
            rows = [
                row
                for row in commit.late.to_pylist()
                if row["partition"] == checkpoint.partition and row["offset"] >= written
            ]
            if rows:
                self.store.late.append(pa.Table.from_pylist(rows, schema=LATE_SCHEMA))
                self.store.late_positions[checkpoint.partition] = checkpoint.next_offset

    def _check(self, commit: WindowCommit) -> None:
        for checkpoint in commit.checkpoints:
            held = self.store.checkpoints.get(checkpoint.partition)
            if checkpoint.partition not in self._expected or self._expected[checkpoint.partition] != (
                held.next_offset if held else None
            ):
                raise Fenced(f"partition {checkpoint.partition} has moved")

    def _move(self, commit: WindowCommit) -> None:
        for checkpoint in commit.checkpoints:
            self.store.checkpoints[checkpoint.partition] = checkpoint
            self._expected[checkpoint.partition] = checkpoint.next_offset

    def _step(self, name: str) -> None:
        if self.crash_at == name:
            self.crash_at = None
            raise Crash(name)


class PositionFirstSink(MemorySink):
    """How not to do it: the position in a commit of its own, before the data. The negative control of the proofs."""

    def commit(self, commit: WindowCommit) -> None:
        self._check(commit)
        self._move(commit)
        self._step("windows")
        self._write_late(commit)
        self.store.windows.append(commit.windows)


class MemoryLetters:
    """A DeadLetterQueue on a Store. `crash_after` letters it dies, as a producer does with half of a flush sent."""

    def __init__(self, store: Store, crash_after: int | None = None) -> None:
        self.store = store
        self.crash_after = crash_after

    def restore(self, partition: int) -> None:
        pass

    def put(self, letters: Sequence[DeadLetter]) -> None:
        parts: dict[tuple[int, int], int] = {}
        for letter in letters:
            origin = (letter.partition, letter.message.offset)
            part = parts[origin] = parts.get(origin, -1) + 1
            if self.crash_after is not None:
                self.crash_after -= 1
                if self.crash_after < 0:
                    self.crash_after = None
                    raise Crash("letters")
            stored = [(o, n) for p, o, n, _ in self.store.letters if p == letter.partition]
            if not stored or (letter.message.offset, part) > max(stored):
                self.store.letters.append((letter.partition, letter.message.offset, part, letter))
