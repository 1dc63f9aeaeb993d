"""Child processes: how one is started, ended, and measured.

Each child leads its own session and process group and gets a signal when its parent's *thread* ends: start children
from the main thread only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.devstack.errors import NotReadyInTime, PartFailed

SHIM = Path(__file__).with_name("shim.py")
# the environment marker by which leftovers of a dead supervisor are recognised
MARKER = "TIDEMILL_STACK"


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """What to run: program and arguments, whole environment, directory, log file, user, how to ask it to end."""

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    uid: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM


def shimmed(argv: Sequence[str], *, uid: int | None, death_signal: signal.Signals) -> list[str]:
    """The command that becomes `argv` as user `uid` (None: as we are), ended by `death_signal` when our thread ends."""
    shim = [sys.executable, "-I", "-S", str(SHIM), "-1" if uid is None else str(uid)]
    return [*shim, str(int(death_signal)), str(os.getpid()), *argv]


def spawn(launch: Launch) -> subprocess.Popen[bytes]:
    """Start the child; its output is appended to the log. Raises PartFailed if the shim itself cannot be run."""
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    # append: the supervisor may truncate a log that has grown too long, and the child goes on at its new end
    with launch.log.open("ab") as log:
        try:
            return subprocess.Popen(
                shimmed(launch.argv, uid=launch.uid, death_signal=launch.stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=launch.cwd,
                env=dict(launch.env),
                start_new_session=True,
            )
        except OSError as error:
            raise PartFailed(f"cannot start {launch.argv[0]}: {error}") from error


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the group that `pid` leads; a group that is gone is no error."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, grace: float) -> None:
    """Ask the child to end, wait up to `grace` seconds, then end what is left of its group for good."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            pass
    signal_group(process.pid, signal.SIGKILL)
    process.wait()


def wait_ready(
    name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool], *, log: Path, limit: float
) -> float:
    """Wait until `ready()`; return the seconds. Raises PartFailed if the child ends, NotReadyInTime at the limit."""
    started = time.monotonic()
    while True:
        if ready():
            return time.monotonic() - started
        if process.poll() is not None:
            raise PartFailed(f"{name} ended with code {process.returncode} while starting:\n{tail(log, 15)}")
        if time.monotonic() - started > limit:
            raise NotReadyInTime(f"{name} was not ready within {limit:.0f} s; the end of {log}:\n{tail(log, 15)}")
        time.sleep(0.05)


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file, read from its end; empty if it does not exist."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - lines * 400))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
