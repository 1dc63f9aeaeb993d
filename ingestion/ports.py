"""Ports of the reading's path: what the engines need from the outside. Each has a contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import pyarrow as pa

from ingestion.checkpoint import Checkpoint
from ingestion.encoding import Encoding
from ingestion.intake import DeadLetter


class ReadingPublisher(Protocol):
    """Sends readings, keyed by machine, so that a machine's readings keep their order."""

    def publish(self, batch: pa.RecordBatch, encoding: Encoding) -> None:
        """Hand over readings (READING_SCHEMA, any machines). May block while buffers are full. Raises TryAgain."""

    def flush(self, timeout: timedelta) -> None:
        """Return once everything handed over is stored by the broker. Raises TryAgain after the timeout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowCommit:
    """What one commit of the sink makes true, all or nothing.

    windows      rows of closed windows (WINDOW_SCHEMA), each once
    late         late readings (LATE_SCHEMA), in offset order within a partition
    checkpoints  the new position and state of each partition that moved, with all rows that lie before it
    """

    windows: pa.Table
    late: pa.Table
    checkpoints: Sequence[Checkpoint]


class WindowSink(Protocol):
    """Where closed windows go, together with the position that they were computed from."""

    def restore(self, partition: int) -> Checkpoint | None:
        """The partition's last commit, or None before its first. What follows is committed on top of exactly this."""

    def commit(self, commit: WindowCommit) -> None:
        """Make rows, positions and states durable in one step.

        Raises Fenced, with nothing written to `windows`, if a partition has moved since this sink restored it or
        committed it last.
        """


class DeadLetterQueue(Protocol):
    """Where refused messages go: original bytes, reason, origin. Each once, also over crashes."""

    def restore(self, partition: int) -> None:
        """Learn which letters of this partition are stored already. To be called before its first `put`."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store the letters of which the queue does not know yet; return once the broker has them. Raises TryAgain."""
