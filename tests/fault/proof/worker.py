"""A stream worker as it is, but that it notes the steps of its commits, and dies or freezes at the one it is told."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from deltalake import write_deltalake

import ingestion.kafka.dead_letters
import ingestion.pipeline
import ingestion.stream.app  # noqa: F401  imported here, once for all that are forked
import storage.lake.window_sink
from infra import stream_definitions
from infra.settings import Settings
from infra.wiring import built_in_stream, defined_streams
from ingestion.ports import WindowCommit
from ingestion.steps import Step, unheard
from ingestion.window import WINDOW_SCHEMA
from storage.lake.part_files import dated
from storage.lake.tables import WINDOWS

Variant = Literal["honest", "position-first", "unfenced", "unsynced"]
"""`honest` is the product. The others lack one piece of the mechanism each, to show that the checks would see it."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a worker of the rig is.

    notes       folder of the rig's own files; outside of the home, which may be on a disk that is cut off
    definition  of the stream, where it is not the built-in one
    """

    member: str
    environment: Mapping[str, str]
    notes: Path
    variant: Variant = "honest"
    definition: Path | None = None


def work(orders: Orders) -> None:
    """The process: does not return."""
    with (orders.notes / "workers.log").open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(orders.environment)
    sys.argv = ["tidemill"]
    _VARIANTS[orders.variant]()
    settings, member, step = Settings(), orders.member, Notes(orders)
    if orders.definition is None:
        built_in_stream.stream_worker(settings, member=member, web_port=None, step=step)
    else:
        definition = stream_definitions.read(orders.definition, readings_topic=settings.readings_topic)
        defined_streams.stream_worker(settings, definition, member=member, step=step)


class Notes:
    """Writes a line for each step; where an order lies ready for this member and step, sends itself its signal."""

    def __init__(self, orders: Orders) -> None:
        self._member = orders.member
        self._order = order_file(orders.notes, orders.member)
        self._file = os.open(orders.notes / "steps.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._passed = 0

    def __call__(self, step: Step) -> None:
        number = self._ordered(step)
        line = {"at": time.time(), "pid": os.getpid(), "member": self._member, "step": step, "signal": number}
        os.write(self._file, (json.dumps(line) + "\n").encode())
        if number is not None:
            os.kill(os.getpid(), number)

    def _ordered(self, step: Step) -> int | None:
        try:
            order = json.loads(self._order.read_text())
        except FileNotFoundError:
            self._passed = 0
            return None
        if order["step"] != step:
            return None
        self._passed += 1
        if self._passed < order["times"]:
            return None
        self._order.unlink()
        return int(order["signal"])


def order_file(notes: Path, member: str) -> Path:
    return notes / f"{member}.order"


def give_order(notes: Path, member: str, step: Step, times: int, number: signal.Signals) -> None:
    """Let the member send itself the signal when it has done this step `times` times from now."""
    path = order_file(notes, member)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"step": step, "times": times, "signal": int(number)}))
    draft.rename(path)


# -- what is wrong on purpose -----------------------------------------------------------------------------------------


@contextmanager
def _heard_where_rows_are(sink: Any, commit: WindowCommit) -> Iterator[None]:
    """No step is told of a commit without rows: a fault in it would lose nothing, and double nothing."""
    heard = sink._step
    if not commit.windows.num_rows:
        sink._step = unheard
    try:
        yield
    finally:
        sink._step = heard


class PositionFirstSink(storage.lake.window_sink.LakeWindowSink):
    """Commits the position before the data: what every tutorial's consumer does."""

    def __init__(self, *, lake_root: Path, **others: Any) -> None:
        super().__init__(lake_root=lake_root, **others)
        self._table = WINDOWS.path(lake_root)

    def commit(self, commit: WindowCommit) -> None:
        with _heard_where_rows_are(self, commit):
            super().commit(replace(commit, windows=WINDOW_SCHEMA.empty_table()))
        if commit.windows.num_rows:
            rows = dated(commit.windows, "window_start")
            write_deltalake(self._table, rows, mode="append", partition_by=["date"])


def _position_first() -> None:
    storage.lake.window_sink.LakeWindowSink = PositionFirstSink  # type: ignore[misc]


def _unfenced() -> None:
    """Nobody looks whether somebody else has committed in between."""
    sink = storage.lake.window_sink.LakeWindowSink
    commit_whole = sink.commit

    def commit(self: Any, commit: WindowCommit) -> None:
        with _heard_where_rows_are(self, commit):
            commit_whole(self, commit)

    sink.commit = commit  # type: ignore[method-assign]
    sink._check_unmoved = lambda *_: None  # type: ignore[method-assign]


def _unsynced() -> None:
    """Nothing is flushed to the disk before it is named."""
    os.fsync = lambda _: None  # type: ignore[assignment]


_VARIANTS = {
    "honest": lambda: None,
    "position-first": _position_first,
    "unfenced": _unfenced,
    "unsynced": _unsynced,
}
