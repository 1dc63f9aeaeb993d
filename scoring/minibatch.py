"""A mini-batch: the unit that one worker scores in one call of `run`; and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class SliceKind(StrEnum):
    """What a slice's `start` and `end` count: rows of a Parquet file, or bytes of a text file."""

    ROWS = "rows"
    BYTES = "bytes"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The half-open range [start, end) of a file, whole records each; `header` bytes at its beginning go before it."""

    kind: SliceKind
    start: int
    end: int
    header: int = 0


@dataclass(frozen=True, kw_only=True)
class InputItem:
    """One thing to score, or one file of rows.

    uri         absolute path of a file
    size_bytes  as listed when planned; of a slice its share
    rows        where a row is what counts as an item: how many there are, as far as known; None where the file is
    records     rows in it as far as planning has counted them; they are never counted as items
    slice       the part of the file that this is; None for all of it
    """

    uri: str
    size_bytes: int
    rows: int | None = None
    records: int | None = None
    slice: Slice | None = None


@dataclass(frozen=True, kw_only=True)
class MiniBatch:
    """`index` is its place in the manifest and in ordered outputs."""

    index: int
    items: tuple[InputItem, ...]

    def message(self) -> dict[str, Any]:
        """What a worker is told of it: `paths`, and `slices` where there are any (see scoring.drivers.inputs)."""
        told: dict[str, Any] = {"paths": [item.uri for item in self.items]}
        if any(item.slice is not None for item in self.items):
            told["slices"] = [None if item.slice is None else asdict(item.slice) for item in self.items]
        return told


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
    parts                     of one that was divided (see scoring.division): one such file a part that succeeded
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
    parts: tuple[str, ...] = ()
    rows: int = 0
    error: str | None = None
    traceback: str | None = None
