"""What `run` gets as its mini-batch: paths, slices that are files themselves, or a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any


class Input:
    """The reader of one job's mini-batches.

    job   `table` (None, or what `tables.read` needs), `input` (`format`, `header`, and `slices`, a folder), both
          optional
    load  gives the module of that name out of this folder
    """

    def __init__(self, job: dict[str, Any], load: Callable[[str], ModuleType]) -> None:
        self._table = job.get("table")
        given = job.get("input") or {}
        self._format = given.get("format", "files")
        self._header = given.get("header", True)
        self._folder = given.get("slices")
        self._load = load

    def read(self, message: dict[str, Any]) -> Loaded:
        """The mini-batch of a `score` message: `paths`, and optional `slices`, `piece` and `part` (a range of rows)."""
        loaded = self._whole(message)
        part = message.get("part")
        return loaded if part is None else loaded.cut(part[0], part[1])

    def clean(self, message: dict[str, Any]) -> None:
        """Remove what `read` has written. Never raises."""
        if self._folder is not None and message.get("slices"):
            self._load("slices").clean(self._slices_of(message))

    def _whole(self, message: dict[str, Any]) -> Loaded:
        paths = list(message["paths"])
        slices = message.get("slices") or [None] * len(paths)
        if self._table is not None:
            tables = self._load("tables")
            read = None
            if any(slices):
                read = lambda path, part: self._load("slices").rows(path, part["start"], part["end"])  # noqa: E731
            frame = tables.read(paths, self._table, slices=slices, read_slice=read)
            return Loaded(frame, keys=tables.keys(frame, self._table))
        if self._format == "dataframe":
            frame, counts = self._load("frames").read(paths, slices, self._header, self._load("slices"))
            return Loaded(frame, sources=[path for path, count in zip(paths, counts) for _ in range(count)])  # noqa: B905
        if any(slices):
            return Loaded(self._load("slices").files(paths, slices, self._slices_of(message)), sources=paths)
        return Loaded(paths, sources=paths)

    def _slices_of(self, message: dict[str, Any]) -> str:
        assert self._folder is not None
        # pieces of one mini-batch may be scored at the same time
        piece = f".p{message['piece']}" if message.get("piece") else ""
        return os.path.join(self._folder, f"{message['index']:06d}{piece}")


class Loaded:
    """A mini-batch in memory.

    value    what `run` gets
    items    how many items that is: paths of a list, rows of a DataFrame
    keys     DataFrame of the rows' index columns, for tables
    sources  the file that each item came from; None for tables
    """

    def __init__(self, value: Any, *, keys: Any = None, sources: list[str] | None = None) -> None:
        self.value = value
        self.items = len(value)
        self.keys = keys
        self.sources = sources

    def cut(self, start: int, end: int) -> Loaded:
        """The items [start, end) alone."""
        if isinstance(self.value, list):
            return Loaded(self.value[start:end], sources=self.sources and self.sources[start:end])
        keys = None if self.keys is None else self.keys.iloc[start:end].reset_index(drop=True)
        value = self.value.iloc[start:end].reset_index(drop=True)
        return Loaded(value, keys=keys, sources=self.sources and self.sources[start:end])
