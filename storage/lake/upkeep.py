"""Upkeep of all tables, by itself, at a gentle pace: joins, then what nobody needs; never in a writer's way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError

from scoring.errors import ScoringError
from storage.lake.compaction import compact
from storage.lake.vacuum import checkpoint, vacuum

log = logging.getLogger(__name__)

CHECKPOINT_AFTER = 50
"""Log entries without a checkpoint after which upkeep writes one, for tables whose writers seldom do."""

_PAUSE_BETWEEN_JOINS = 0.5
_ROUNDS_A_VACUUM = 10


class LakeUpkeep:
    """A loop beside others.

    needed     from which version on somebody needs the history of a table, by name; raises where it cannot be told,
               and then nothing is deleted
    every      pause between two rounds
    """

    def __init__(
        self, lake_root: Path, needed: Callable[[], Mapping[str, int]], *, every: timedelta, retention: timedelta
    ) -> None:
        self._root = lake_root
        self._needed = needed
        self._every = every
        self._retention = retention

    def serve(self, stop: threading.Event) -> None:
        """Until the event is set."""
        number = 0
        while not stop.wait(self._every.total_seconds()):
            number += 1
            self.round(stop, with_vacuum=number % _ROUNDS_A_VACUUM == 1)

    def round(self, stop: threading.Event, *, with_vacuum: bool) -> None:
        """Each table once. A table that cannot be kept up now is told in the log, and looked at again next time."""
        for folder in tables_in(self._root):
            if stop.is_set():
                return
            try:
                done = compact(folder, stop=lambda: stop.wait(_PAUSE_BETWEEN_JOINS))
                if done.joins or done.lost:
                    log.info("%s: %d files joined into %d", folder.name, done.files_before, done.files_after)
                checkpoint(folder, after=CHECKPOINT_AFTER)
                if with_vacuum and not stop.is_set():
                    gone = vacuum(folder, retention=self._retention, needed_from=self._needed().get(folder.name))
                    log.info("%s: %d files and %d log entries deleted", folder.name, gone.files, gone.log_entries)
            except (ScoringError, DeltaError, OSError, pa.ArrowException) as error:
                log.warning("%s could not be kept up: %s", folder.name, error)


def tables_in(lake_root: Path) -> list[Path]:
    """Folders of the tables that there are, in order of name."""
    return sorted(entry.parent for entry in lake_root.glob("*/_delta_log"))
