"""A mini-batch: the unit that one worker scores in one call of `run`; and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class InputItem:
    """One thing to score, or one file of rows.

    uri         absolute path of a file
    size_bytes  as listed when planned
    rows        for part files of a table: their rows; None for plain files, where the file is the item
    """

    uri: str
    size_bytes: int
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class MiniBatch:
    """`index` is its place in the manifest and in ordered outputs."""

    index: int
    items: tuple[InputItem, ...]


class MiniBatchOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class MiniBatchResult:
    """The end of a mini-batch, after its last try.

    items, succeeded, failed  items given to `run`; Azure counts success as min(len(result), items)
    tries                     calls of `run` that were made, the last one included
    seconds                   wall time of the last try
    rows_path                 file of result rows (see scoring.collect), None where failed or summary_only
    error                     one line; `traceback` the user's traceback, where there is one
    worker                    `<instance>/process<NNN>` that made the last try
    """

    index: int
    outcome: MiniBatchOutcome
    items: int
    succeeded: int
    failed: int
    tries: int
    seconds: float
    worker: str | None = None
    rows_path: str | None = None
    rows: int = 0
    error: str | None = None
    traceback: str | None = None
