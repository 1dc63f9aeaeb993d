"""A worker for each stream definition that lies in the home, as parts that come and go with the files.

By name and change alone: the supervisor does not read what is in them. A definition that is wrong ends its worker,
which says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from infra.devstack.parts import Part
from infra.devstack.services import own_command, stream_file, stream_is_ready
from infra.home import Home

_FILE = re.compile(r"([a-z][a-z0-9_]{0,62})\.yml")


def worker_name(stream: str) -> str:
    """What the worker of a stream is called among the parts; its log has the same name."""
    return f"stream-{stream}"


class StreamWorkers:
    """Looks into `<home>/streams`."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def parts(self) -> Sequence[Part]:
        """One for each definition that lies there now."""
        found = []
        for path in sorted(self._home.streams.glob("*.yml")):
            match = _FILE.fullmatch(path.name)
            edition = _edition(path)
            if match and edition is not None:
                found.append(_worker(self._home, match[1], edition))
        return found


def _edition(path: Path) -> str | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return f"{seen.st_ino}-{seen.st_mtime_ns}-{seen.st_size}"


def _worker(home: Home, stream: str, edition: str) -> Part:
    name, ready = worker_name(stream), stream_file(home, stream)
    return Part(
        name=name,
        optional=True,
        edition=edition,
        after=("migrate", "topics", "kafka", "postgres"),
        prepare=lambda _: ready.unlink(missing_ok=True),
        launch=lambda: own_command(home, name, ("stream", "run", str(home.streams / f"{stream}.yml"))),
        ready=lambda pid: stream_is_ready(ready, pid),
        limit=90,
        grace=20,
    )
