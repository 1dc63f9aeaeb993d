"""How the streams of a home stand, and waiting for their workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from infra.devstack.control import is_up
from infra.devstack.state import PartState, read_state
from infra.devstack.stream_workers import worker_name
from infra.home import Home
from infra.settings import Settings
from infra.wiring.defined_streams import runs
from ingestion.definition_document import BUILT_IN
from ingestion.errors import IngestionError, InvalidInput, TryAgain

if TYPE_CHECKING:
    from ingestion.checkpoint import Progress

_PAUSE = 0.1


Ends = Callable[[str], Mapping[int, int]]
"""The next offset to be written to a topic, by partition. Raises IngestionError."""


def summaries(settings: Settings, ends: Ends) -> list[dict[str, object]]:
    """A row a stream, the built-in one first.

    Of each: name, state (of the worker), topic, table, rows (in it), lag (messages; None where the broker is away),
    watermark (the greatest), last_commit_at, open_windows, dead_letters (refused so far), problem (with its
    definition, or None), description.
    """
    from infra.stream_definitions import StreamDefinitions
    from infra.wiring import built_in_stream, defined_streams
    from storage.lake.tables import WINDOWS
    from storage.queries.lake import snapshot

    home = settings.paths
    rows: list[dict[str, object]] = [
        _row(
            settings,
            BUILT_IN,
            settings.readings_topic,
            WINDOWS.name,
            built_in_stream.stream_progress(settings),
            ends,
            rows=snapshot(home.lake, WINDOWS.name).rows,
            description="built in",
        )
    ]
    for stored in StreamDefinitions(settings).all():
        found = stored.definition
        if found is None:
            rows.append(dict.fromkeys(rows[0]) | {"name": stored.name, "state": "wrong", "problem": stored.problem})
            continue
        progress = defined_streams.stream_progress(settings, found)
        count = defined_streams.table_rows(settings, found)
        rows.append(
            _row(
                settings,
                found.name,
                found.topic,
                found.table,
                progress,
                ends,
                rows=count,
                description=found.description,
            )
        )
    return rows


def _row(
    settings: Settings,
    name: str,
    topic: str,
    table: str,
    progress: Mapping[int, Progress],
    ends: Ends,
    *,
    rows: int,
    description: str,
) -> dict[str, object]:
    commits = [one.last_commit_at for one in progress.values() if one.last_commit_at is not None]
    marks = [one.watermark_max for one in progress.values() if one.watermark_max is not None]
    worker = worker_of(settings.paths, name)
    return {
        "name": name,
        "state": worker.state if worker is not None else "stopped",
        "topic": topic,
        "table": table,
        "rows": rows,
        "lag": _lag(ends, topic, progress),
        "watermark": max(marks).isoformat() if marks else None,
        "last_commit_at": max(commits).isoformat() if commits else None,
        "open_windows": sum(one.open_windows for one in progress.values()),
        "dead_letters": sum(sum(one.counters.dead_letters.values()) for one in progress.values()),
        "problem": worker.last_error if worker is not None and worker.state == "restarting" else None,
        "description": description,
    }


def _lag(ends: Ends, topic: str, progress: Mapping[int, Progress]) -> int | None:
    try:
        found = ends(topic)
    except IngestionError:
        return None
    return sum(
        max(end - (progress[partition].next_offset if partition in progress else 0), 0)
        for partition, end in found.items()
    )


def worker_of(home: Home, name: str) -> PartState | None:
    """What the supervisor says of a stream's worker; None where no stack runs, or it does not know it."""
    state = read_state(home) if is_up(home) else None
    wanted = "stream" if name == BUILT_IN else worker_name(name)
    return next((part for part in state.parts if part.name == wanted), None) if state is not None else None


def await_worker(home: Home, name: str, *, before: int | None, limit: float) -> bool:
    """Until another worker than `before` is ready; False where no stack runs that would start one.

    Raises InvalidInput where it fails at once, TryAgain where it is not ready within `limit` seconds.
    """
    deadline = time.monotonic() + limit
    while True:
        state = read_state(home) if is_up(home) else None
        if state is None or not any(part.name == "stream" for part in state.parts):
            return False
        worker = worker_of(home, name)
        if worker is not None and worker.state == "ready" and worker.process and worker.process.pid != before:
            return True
        if worker is not None and worker.restarts >= 2 and worker.last_error:
            raise InvalidInput(f"the worker of stream {name} {worker.last_error}; see `tidemill logs {worker.name}`")
        if time.monotonic() > deadline:
            raise TryAgain(f"waited {limit:g} s for the worker of stream {name}; see `tidemill logs`")
        time.sleep(_PAUSE)


def await_end(settings: Settings, name: str, *, limit: float) -> None:
    """Until no worker of the stream runs. Raises TryAgain where one still does after `limit` seconds."""
    deadline = time.monotonic() + limit
    while worker_of(settings.paths, name) is not None or runs(settings, name):
        if time.monotonic() > deadline:
            raise TryAgain(f"waited {limit:g} s for the worker of stream {name} to end; end it, and try again")
        time.sleep(_PAUSE)
