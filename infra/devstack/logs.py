"""Log files of the parts: kept within a size, read and followed across that."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.devstack.processes import tail

LARGEST = 16 * 1024 * 1024


def rotate(log: Path, largest: int = LARGEST) -> bool:
    """Move a log that is longer than `largest` bytes to `.1` and empty it; True if it did.

    The writer keeps its file open for appending and goes on in the emptied one; what it writes between the copy and
    the emptying is lost.
    """
    try:
        if log.stat().st_size <= largest:
            return False
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        with log.open("r+b") as file:
            file.truncate(0)
    except FileNotFoundError:
        return False
    return True


def last_lines(logs: Mapping[str, Path], lines: int) -> Iterator[tuple[str, str]]:
    """(part, line) of the end of each log, one log after another."""
    for name, path in logs.items():
        for line in tail(path, lines).splitlines():
            yield name, line


def follow(logs: Mapping[str, Path], *, poll: float = 0.25) -> Iterator[tuple[str, str]]:
    """(part, line) as they are written, from now on, without end. A log that was emptied or made anew is read on."""
    positions = {name: path.stat().st_size if path.exists() else 0 for name, path in logs.items()}
    rests = dict.fromkeys(logs, b"")
    while True:
        quiet = True
        for name, path in logs.items():
            if not path.exists():
                continue
            size = path.stat().st_size
            if size < positions[name]:
                positions[name], rests[name] = 0, b""
            if size == positions[name]:
                continue
            quiet = False
            with path.open("rb") as file:
                file.seek(positions[name])
                new = file.read(1024 * 1024)
            positions[name] += len(new)
            *whole, rests[name] = (rests[name] + new).split(b"\n")
            for line in whole:
                yield name, line.decode("utf-8", errors="replace")
        if quiet:
            time.sleep(poll)
