"""What nobody needs any more: superseded part files, old log entries; and how a table stands.

needed_from   the table's version from which on somebody still needs its history: what came after it can be told, and
              every file that some version since then had is there. None: nobody does
retention     how long a file or log entry stays after it was superseded, whoever may need it
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from storage.durability import fsync_file, fsync_folder
from storage.lake.compaction import joins
from storage.lake.table_log import actions, entries, live_files, modified_at, opened_table, version_of

ORPHAN_AGE = timedelta(days=7)
"""How old a file must be that no commit names: its writer is dead by then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vacuumed:
    """What was deleted."""

    files: int = 0
    bytes: int = 0
    log_entries: int = 0


def vacuum(folder: Path, *, retention: timedelta, needed_from: int | None, dry_run: bool = False) -> Vacuumed:
    """Delete part files that no version since `needed_from`, and none within the retention, has; then old log entries.

    Rubbish of writers that died goes when it is older than ORPHAN_AGE, too. Raises TryAgain where the table cannot be
    read.
    """
    oldest = time.time() - retention.total_seconds()
    kept = {file.path for file in live_files(opened_table(folder))}
    removed = set()
    for version, entry in entries(folder):
        is_needed = modified_at(entry) >= oldest or (needed_from is not None and version > needed_from)
        for action in actions(entry):
            if is_needed:
                kept |= {unquote(action[kind]["path"]) for kind in ("add", "remove") if kind in action}
            elif "remove" in action:
                removed.add(unquote(action["remove"]["path"]))
    # what was committed while we looked is in here
    kept |= {file.path for file in live_files(opened_table(folder))}
    files = size = 0
    for path in sorted(folder.glob("date=*/*.parquet")):
        name = path.relative_to(folder).as_posix()
        try:
            seen = path.stat()
        except FileNotFoundError:
            continue
        # a file that no entry names may be that of a writer who is about to commit it, however slowly
        last = oldest if name in removed else min(oldest, time.time() - ORPHAN_AGE.total_seconds())
        if name not in kept and seen.st_mtime < last:
            files, size = files + 1, size + seen.st_size
            if not dry_run:
                path.unlink(missing_ok=True)
    shortened = shorten_log(folder, retention=retention, needed_from=needed_from, dry_run=dry_run)
    return Vacuumed(files=files, bytes=size, log_entries=shortened)


def shorten_log(folder: Path, *, retention: timedelta, needed_from: int | None, dry_run: bool = False) -> int:
    """Delete the log's entries and checkpoints before a checkpoint that is older than the retention; how many."""
    log = folder / "_delta_log"
    oldest = time.time() - retention.total_seconds()
    checkpoints = sorted((version_of(path), path) for path in log.glob("*.checkpoint.parquet"))
    usable = [
        (version, path)
        for version, path in checkpoints
        if modified_at(path) < oldest and (needed_from is None or version <= needed_from)
    ]
    if not usable:
        return 0
    border, checkpoint = usable[-1]
    doomed = [path for version, path in entries(folder) if version < border]
    doomed += [path for version, path in checkpoints if version < border]
    if not doomed or dry_run:
        return len(doomed)
    try:
        DeltaTable(folder, version=border)
    except (DeltaError, OSError):
        return 0
    # delta-rs does not sync what it writes, and from here on this is the only copy of what came before
    for path in (checkpoint, log / "_last_checkpoint"):
        fsync_file(path)
    fsync_folder(log)
    # the oldest first: cut anywhere, what is left is a log without its beginning
    for path in sorted(doomed):
        path.unlink(missing_ok=True)
    return len(doomed)


def checkpoint(folder: Path, *, after: int) -> bool:
    """Write a checkpoint where the log has more than `after` entries since the last; delta-rs's writers do so, too."""
    table = opened_table(folder)
    last = max((version_of(path) for path in (folder / "_delta_log").glob("*.checkpoint.parquet")), default=-1)
    if table.version() - last <= after:
        return False
    table.create_checkpoint()
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """How a table stands. `small_files` are those that would be joined; `dead_*` lie in its folder beside the live."""

    version: int
    files: int
    bytes: int
    small_files: int
    dead_files: int
    dead_bytes: int
    log_entries: int
    checkpoint: int | None


def condition(folder: Path) -> Condition:
    """Raises TryAgain where the table cannot be read."""
    table = opened_table(folder)
    live = live_files(table)
    names = {file.path for file in live}
    dead = [
        path.stat().st_size
        for path in folder.glob("date=*/*.parquet")
        if path.relative_to(folder).as_posix() not in names
    ]
    checkpoints = [version_of(path) for path in (folder / "_delta_log").glob("*.checkpoint.parquet")]
    return Condition(
        version=table.version(),
        files=len(live),
        bytes=sum(file.size_bytes for file in live),
        small_files=sum(len(group) for group in joins(live)),
        dead_files=len(dead),
        dead_bytes=sum(dead),
        log_entries=sum(1 for _ in entries(folder)),
        checkpoint=max(checkpoints, default=None),
    )
