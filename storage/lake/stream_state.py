"""State files of the stream: what a partition's open windows hold, named by content in the lake's own log.

A commit of `windows` carries, per partition, the next offset and a 62-bit hash of the state's bytes; the bytes lie in
`<root>/<stream>-<topic>-<partition>-<hash>.arrow`, complete and on disk before the commit that names them. A state file
that no commit names is rubbish of a worker that died; a state that a commit names is never changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from ingestion.checkpoint import Progress, read_head
from ingestion.counted_letters import CountedLetters
from ingestion.errors import TryAgain
from ingestion.steps import Listener, unheard
from storage.durability import fsync_folder, write_synced
from storage.lake.tables import WINDOWS, LakeTable

GRACE = timedelta(minutes=1)
"""How long a state file stays after it was superseded: a reader of an older snapshot may be on its way to it."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionIds:
    """Names of one partition of a stream in the lake's log."""

    stream: str
    topic: str
    partition: int
    suffix: str = ".arrow"

    def __post_init__(self) -> None:
        for name in (self.stream, self.topic):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r}: letters, digits, dot, underscore and hyphen are allowed")

    @property
    def position(self) -> str:
        """Application id of the position: its version is the next offset."""
        return f"{self.stream}/{self.topic}/{self.partition}"

    @property
    def state(self) -> str:
        """Application id of the state: its version is the hash that names the file."""
        return f"{self.position}/state"

    def file(self, root: Path, state_hash: int) -> Path:
        return root / f"{self.stream}-{self.topic}-{self.partition}-{state_hash:016x}{self.suffix}"


def hash_of(state: bytes) -> int:
    """62 bits of the content's SHA-256: a positive Delta transaction version."""
    return int.from_bytes(hashlib.sha256(state).digest()[:8]) >> 2


def write_state(root: Path, ids: PartitionIds, state: bytes, *, step: Listener = unheard) -> int:
    """Store the state durably; returns its hash. The same state again is not written twice."""
    state_hash = hash_of(state)
    path = ids.file(root, state_hash)
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        write_synced(draft, state)
        step("state drafted")
        draft.rename(path)
    fsync_folder(root)
    step("state on disk")
    return state_hash


def read_state(root: Path, ids: PartitionIds, state_hash: int) -> bytes:
    """The state that a commit named. Raises TryAgain if it is gone: superseded while the reader looked, or deleted."""
    path = ids.file(root, state_hash)
    try:
        state = path.read_bytes()
    except FileNotFoundError as error:
        raise TryAgain(f"the stream's state {path.name} is not in {root}: superseded meanwhile, or deleted") from error
    if hash_of(state) != state_hash:
        raise TryAgain(f"the stream's state {path.name} in {root} is damaged: its content has another hash")
    return state


def supersede(root: Path, ids: PartitionIds, state_hash: int) -> None:
    """Let the grace of a state begin now that the log names another."""
    try:
        os.utime(ids.file(root, state_hash))
    except FileNotFoundError:
        pass


def remove_superseded(root: Path, ids: PartitionIds, current: int) -> None:
    """Delete the partition's state files that the log no longer names, once they are older than the grace."""
    oldest = time.time() - GRACE.total_seconds()
    kept = ids.file(root, current)
    # the hash alone may differ: another topic's name may go on where this one ends
    for path in root.glob(f"{ids.stream}-{ids.topic}-{ids.partition}-{'[0-9a-f]' * 16}.*"):
        try:
            if path != kept and path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            continue


def partitions_with_state(root: Path, stream: str, topic: str) -> int:
    """How many partitions of the stream can have committed: one more than the greatest that has a file of states."""
    return max((partition + 1 for partition, _ in _state_files(root, stream, topic)), default=0)


def forget(root: Path, stream: str, topic: str) -> None:
    """Delete all states of a stream, once the table that names them is gone."""
    for _, path in _state_files(root, stream, topic):
        path.unlink(missing_ok=True)


def _state_files(root: Path, stream: str, topic: str) -> list[tuple[int, Path]]:
    name = re.compile(rf"{re.escape(f'{stream}-{topic}')}-([0-9]+)-[0-9a-f]{{16}}\.arrow")
    found = [(name.fullmatch(path.name), path) for path in root.glob(f"{stream}-{topic}-*.arrow")]
    return [(int(match[1]), path) for match, path in found if match]


def read_progress(
    lake_root: Path, state_root: Path, stream: str, topic: str, partitions: int, *, table: LakeTable = WINDOWS
) -> Mapping[int, Progress]:
    """Progress of each partition of the stream that has committed. Nothing is locked: the worker goes on meanwhile."""
    states = read_states(lake_root, state_root, stream, topic, partitions, table=table)
    return {partition: read_head(state) for partition, state in states.items()}


def read_states(
    lake_root: Path, state_root: Path, stream: str, topic: str, partitions: int, *, table: LakeTable = WINDOWS
) -> Mapping[int, bytes]:
    """The committed state of each partition of the stream, all of one version of its table."""
    path = table.path(lake_root)
    for attempt in range(3):
        try:
            held = DeltaTable(path)
        except TableNotFoundError:
            return {}
        try:
            return _states_at(held, state_root, stream, topic, partitions)
        except TryAgain:
            # superseded and deleted while we looked: the next snapshot names another
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def read_counted_letters(
    lake_root: Path,
    state_root: Path,
    stream: str,
    topic: str,
    partitions: int,
    *,
    table: LakeTable = WINDOWS,
    own: bool = False,
) -> CountedLetters:
    """The dead letters whose replay the stream has committed, of all partitions.

    own  of the letters that the stream alone had refused, not of those of its topic
    """
    found = CountedLetters()
    for state in read_states(lake_root, state_root, stream, topic, partitions, table=table).values():
        found.merge(CountedLetters.held_by(state, own=own))
    return found


def _states_at(table: DeltaTable, state_root: Path, stream: str, topic: str, partitions: int) -> Mapping[int, bytes]:
    found = {}
    for partition in range(partitions):
        ids = PartitionIds(stream=stream, topic=topic, partition=partition)
        state_hash = table.transaction_version(ids.state)
        if state_hash is not None:
            found[partition] = read_state(state_root, ids, state_hash)
    return found
