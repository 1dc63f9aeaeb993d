"""The files by which a supervisor tells others of itself: `stack.json` (addresses), `run/supervisor.json`, the lock."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil

from infra.home import Home

# states of a part: waiting, preparing, starting, ready, unready, restarting, done (a step), stopped
# states of a stack: starting, ready, degraded, stopping, stopped, failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A process, safe against reuse of its number: pid and the time it started, in seconds since 1970."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this number now; None if there is none."""
        try:
            return cls(pid=pid, started=psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def process(self) -> psutil.Process | None:
        """The process, if it still is the same one and alive."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started) < 1.0
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(kw_only=True, slots=True)
class PartState:
    """What the supervisor knows of a part. Times are seconds since 1970."""

    name: str
    state: str = "waiting"
    once: bool = False
    optional: bool = False
    address: str = ""
    log: str = ""
    process: Identity | None = None
    since: float = 0.0
    start_seconds: float | None = None
    restarts: int = 0
    last_error: str | None = None


@dataclass(kw_only=True, slots=True)
class StackState:
    """What the supervisor knows of the stack."""

    supervisor: Identity
    state: str = "starting"
    error: str | None = None
    parts: list[PartState] = field(default_factory=list)


def supervisor_file(home: Home) -> Path:
    return home.run / "supervisor.json"


def write_state(home: Home, state: StackState) -> None:
    """Replace the state file whole. Raises OSError, also when somebody deleted the home."""
    _replace(supervisor_file(home), json.dumps(asdict(state)), mode=0o644)


def read_state(home: Home) -> StackState | None:
    """The last state that was written; None if there is none or it cannot be read."""
    try:
        raw: dict[str, Any] = json.loads(supervisor_file(home).read_text())
        parts = [
            PartState(**{**part, "process": Identity(**part["process"]) if part["process"] else None})
            for part in raw["parts"]
        ]
        return StackState(**{**raw, "supervisor": Identity(**raw["supervisor"]), "parts": parts})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_addresses(home: Home, addresses: Mapping[str, str], ports: Mapping[str, int]) -> None:
    """Write stack.json, readable by its owner only as it holds the database's password."""
    _replace(home.stack_file, json.dumps({**addresses, "ports": dict(ports)}, indent=2) + "\n", mode=0o600)


def remembered_ports(home: Home) -> dict[str, int]:
    """The ports of the last start; none if there was none."""
    try:
        return {str(name): int(port) for name, port in json.loads(home.stack_file.read_text())["ports"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


class SupervisorLock:
    """Held by the living supervisor of a home, released by the system when it ends however it ends."""

    def __init__(self, home: Home) -> None:
        self._path = home.run / "supervisor.lock"
        self._file: TextIO | None = None

    def acquire(self) -> bool:
        """Take the lock; False if another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def held(self) -> bool:
        """Does some process hold it?"""
        if not self._path.exists():
            return False
        with self._path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False


def _replace(path: Path, text: str, *, mode: int) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    part.replace(path)
