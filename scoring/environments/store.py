"""Finished environments in one folder, by the hash of what was asked for: whole, or not there.

`<root>/<key>/` is an environment (`bin/python`), with `environment.json` (what was asked for, what was done) and
`requirements.txt` (what is installed). It appears by one rename. Only the holder of `<root>/<key>.lock` makes it, in
`<root>/tmp/`; the system ends a dead holder's lock, and what it left half-made is removed by the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from scoring.environments.wanted import Note

_RECORD = "environment.json"
_POLL_SECONDS = 0.1
_TELL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a finished environment.

    asked, python_asked  as it was asked for
    python               version of its Python
    notes                what was moved to make it
    packages             `name==version` of all that is installed
    """

    key: str
    python: str
    python_asked: str | None = None
    asked: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    packages: tuple[str, ...] = ()
    seconds: float = 0.0
    prepared_at: str = ""


class EnvironmentStore:
    """Any number of processes may use one root at the same time."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def python(self, key: str) -> Path:
        """Where the interpreter of that environment is, or would be."""
        return self.root / key / "bin" / "python"

    def find(self, key: str) -> Record | None:
        """The finished environment; None where there is none, or where its Python has gone from this machine."""
        try:
            found: dict[str, Any] = json.loads((self.root / key / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not os.access(self.python(key), os.X_OK):
            return None
        notes = tuple(Note(**note) for note in found.pop("notes", ()))
        known: dict[str, Any] = {name: found[name] for name in Record.__dataclass_fields__ if name in found}
        lists: dict[str, Any] = {name: tuple(known[name]) for name in ("asked", "packages") if name in known}
        known.update(lists, notes=notes)
        return Record(**known)

    def all(self) -> Sequence[Record]:
        """Finished environments, the oldest first."""
        found = [self.find(path.parent.name) for path in self.root.glob(f"*/{_RECORD}")]
        return sorted((record for record in found if record is not None), key=lambda record: record.prepared_at)

    @contextmanager
    def locked(self, key: str, *, check: Callable[[], None], tell: Callable[[str], None]) -> Iterator[None]:
        """Be the only one who makes this environment. Waits for another maker; `check` may raise to end the wait."""
        self.root.mkdir(parents=True, exist_ok=True)
        begun, told = time.monotonic(), 0.0
        with (self.root / f"{key}.lock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    check()
                    if time.monotonic() - told > _TELL_SECONDS:
                        told = time.monotonic()
                        tell(f"another job is making this environment ({told - begun:.0f} s)")
                    time.sleep(_POLL_SECONDS)
            yield

    @contextmanager
    def half_made(self, key: str) -> Iterator[Path]:
        """A new folder to make the environment in; whatever is left of it afterwards is removed. Needs the lock."""
        for left in (self.root / "tmp").glob(f"{key}.*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = self.root / "tmp" / f"{key}.{uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def complete(self, folder: Path, record: Record) -> None:
        """Give a half-made environment its name. Needs the lock."""
        (folder / "requirements.txt").write_text("\n".join(record.packages) + "\n", encoding="utf-8")
        (folder / _RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
        os.sync()  # after a power cut a folder of this name must hold what was installed
        place = self.root / record.key
        if place.exists():
            # its Python had gone: nothing can be running in it
            place.rename(self.root / "tmp" / f"{record.key}.{uuid4().hex}.old")
        folder.rename(place)

    def sweep(self) -> None:
        """Remove what killed processes left half-made; what is being made is left alone."""
        for left in (self.root / "tmp").glob("*"):
            with (self.root / f"{left.name.partition('.')[0]}.lock").open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(left, ignore_errors=True)

    def remove(self, key: str, *, check: Callable[[], None] = lambda: None) -> None:
        """Forget an environment; the next job that asks for it makes it again."""
        with self.locked(key, check=check, tell=lambda words: None), self.half_made(key) as folder:
            if (self.root / key).exists():
                (self.root / key).rename(folder / "old")
