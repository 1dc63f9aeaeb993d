"""All log files of a job as one, in the order of time.

A line's time is the one that it begins with; of a line without one (a print) when its file was last seen to have grown
past it, as the runner notes every two seconds. Within a file the order is the file's.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from scoring.job_log import DRIVER, ERROR, REPORT, RESULT, TIMES

CHUNK = 1 << 20
"""Bytes of a file that are read at a time; a line is cut there at the latest."""

_LEFT_OUT = {path.as_posix() for path in (DRIVER, ERROR, REPORT, RESULT, TIMES)} | {"logs/readme.txt"}
# the failures of logs/user/error.txt once more, by process; measurements
_LEFT_OUT_FOLDERS = ("logs/user/error/", "logs/perf/")
_TIME = re.compile(
    r"\[?(?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,6}))?(?P<zone>Z|[+-]\d\d:?\d\d)?"
)


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """`source` is the file's path below the job's folder; `at` as well as is known."""

    at: datetime
    source: str
    text: str


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """Lines, and for each file up to which byte it has been read; `more` where another call has lines at once."""

    lines: Sequence[LogLine]
    read_to: Mapping[str, int]
    more: bool


@dataclass(kw_only=True)
class _Part:
    lines: list[LogLine]
    ends: list[int]
    has_more: bool


def merged_log(folder: Path, read_from: Mapping[str, int], *, whole: bool) -> LogPage:
    """What came after `read_from`, in the order of time.

    whole  the job has ended: a last line without a newline is a line too
    """
    times = _Times(folder)
    parts = {
        source: _part(folder, source, read_from.get(source, 0), times, whole=whole) for source in sorted(_logs(folder))
    }
    # beyond the last line read of a longer file nothing is told yet: its next lines may be earlier
    horizon = min((part.lines[-1].at for part in parts.values() if part.has_more and part.lines), default=None)
    read_to, told = dict(read_from), []
    more = False
    for source, part in parts.items():
        count = len(part.lines)
        if horizon is not None:
            count = sum(1 for line in part.lines if line.at <= horizon)
        more = more or part.has_more or count < len(part.lines)
        if count:
            read_to[source] = part.ends[count - 1]
            told += part.lines[:count]
    told.sort(key=lambda line: (line.at, line.source))
    return LogPage(lines=told, read_to=read_to, more=more and bool(told))


def _logs(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder / "logs"):
        for name in names:
            source = Path(place, name).relative_to(folder).as_posix()
            if name.endswith(".txt") and source not in _LEFT_OUT and not source.startswith(_LEFT_OUT_FOLDERS):
                yield source


def _part(folder: Path, source: str, start: int, times: _Times, *, whole: bool) -> _Part:
    path = folder / source
    part = _Part(lines=[], ends=[], has_more=False)
    try:
        # a script may have put a link there: what it points to is no log
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            state = os.fstat(file.fileno())
            file.seek(min(start, state.st_size))
            content = file.read(CHUNK)
    except OSError:
        return part
    part.has_more = len(content) == CHUNK
    if part.has_more or not whole:
        kept = content.rfind(b"\n") + 1
        content = content[:kept] if kept or not part.has_more else content
    position = min(start, state.st_size)
    last = None
    for raw in content.splitlines(keepends=True):
        position += len(raw)
        text = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        at = _written_at(text) or times.at(source, position) or last or _utc(state.st_mtime)
        last = at if last is None else max(at, last)
        part.lines.append(LogLine(at=last, source=source, text=text))
        part.ends.append(position)
    return part


def _written_at(text: str) -> datetime | None:
    found = _TIME.match(text)
    if found is None:
        return None
    fraction, zone = (found["fraction"] or "0").ljust(6, "0"), found["zone"] or ""
    try:
        moment = datetime.fromisoformat(f"{found['day']}T{found['time']}.{fraction}{zone}")
    except ValueError:
        return None
    return moment.astimezone(UTC)  # without a zone it is this machine's: so Python's logging writes it


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class _Times:
    """When files were seen to have which size."""

    def __init__(self, folder: Path) -> None:
        self._notes = folder / TIMES

    def at(self, source: str, position: int) -> datetime | None:
        """None where it was not noted: the file has grown since, or its size went back."""
        seen = self._seen.get(source, [])
        place = bisect_left(seen, position, key=lambda pair: pair[0])
        return _utc(seen[place][1]) if place < len(seen) else None

    @cached_property
    def _seen(self) -> dict[str, list[tuple[int, float]]]:
        """Read when the first line without a time asks for one: it grows with the job."""
        found: dict[str, list[tuple[int, float]]] = {}
        try:
            notes = self._notes.read_text(errors="replace").splitlines()
        except OSError:
            return found
        for note in notes:
            try:
                entry = json.loads(note)
                for source, size in entry["sizes"].items():
                    found.setdefault(source, []).append((int(size), float(entry["at"])))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # half a line of a runner that was killed
        return found
