"""A stack seen from outside: start it and wait, stop it, see how it is, delete what it stored."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.devstack.errors import NotReadyInTime, NotUsable, PartFailed
from infra.devstack.leftovers import end_leftovers
from infra.devstack.memory import tree_memory
from infra.devstack.postgres import PostgresServer
from infra.devstack.processes import tail
from infra.devstack.state import PartState, StackState, SupervisorLock, read_state
from infra.home import Home

# failures in a row after which `up` no longer waits for a part
HOPELESS = 5
# what a stack makes in its home; `reset` deletes nothing else
CONTENTS = (
    "lake",
    "stream-state",
    "streams",
    "registry",
    "jobs",
    "logs",
    "run",
    "kafka",
    "postgres",
    "ground-truth",
    "stack.json",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartStatus:
    """One row of `tidemill status`. Memory in bytes over its process tree, uptime in seconds."""

    name: str
    state: str
    ready: bool
    pid: int | None
    address: str
    memory_bytes: int
    restarts: int
    uptime_seconds: float | None
    start_seconds: float | None
    last_error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StackStatus:
    """A stack at one moment. `ready` holds if every part is; a stopped stack has no parts."""

    home: Path
    state: str
    ready: bool
    supervisor_pid: int | None
    supervisor_memory_bytes: int
    memory_bytes: int
    error: str | None
    parts: tuple[PartStatus, ...]


def stack_status(home: Home) -> StackStatus:
    """How the stack is now: the supervisor's word, checked against the processes that live."""
    state = read_state(home)
    if state is None or not SupervisorLock(home).held():
        killed = state is not None and state.state not in ("stopped", "failed")
        return StackStatus(
            home=home.root,
            state="failed" if state and (killed or state.state == "failed") else "stopped",
            ready=False,
            supervisor_pid=None,
            supervisor_memory_bytes=0,
            memory_bytes=0,
            error="its supervisor was killed; `tidemill up` recovers it" if killed else state.error if state else None,
            parts=(),
        )
    parts = tuple(_part_status(part) for part in state.parts)
    supervisor = state.supervisor.process()
    own = _own_memory(supervisor) if supervisor else 0
    return StackStatus(
        home=home.root,
        state=state.state,
        ready=state.state == "ready"
        and all(part.ready for part, held in zip(parts, state.parts, strict=True) if not held.optional),
        supervisor_pid=state.supervisor.pid,
        supervisor_memory_bytes=own,
        memory_bytes=own + sum(part.memory_bytes for part in parts),
        error=state.error,
        parts=parts,
    )


def _part_status(part: PartState) -> PartStatus:
    process = part.process.process() if part.process else None
    alive = part.state == "done" or process is not None
    return PartStatus(
        name=part.name,
        # it may have ended a moment ago, before the supervisor wrote so
        state=part.state if alive or part.state not in ("ready", "starting") else "ended",
        ready=alive and part.state in ("ready", "done"),
        pid=process.pid if process else None,
        address=part.address,
        memory_bytes=tree_memory(process) if process else 0,
        restarts=part.restarts,
        uptime_seconds=time.time() - process.create_time() if process else None,
        start_seconds=part.start_seconds,
        last_error=part.last_error if part.restarts else None,
    )


def _own_memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def is_up(home: Home) -> bool:
    """Does a supervisor run for this home?"""
    return SupervisorLock(home).held()


def up(
    home: Home,
    *,
    port_base: int | None = None,
    only: Sequence[str] = (),
    bind: str = "127.0.0.1",
    limit: float = 120.0,
    progress: Callable[[str], None] = lambda _: None,
) -> StackStatus:
    """Start a detached supervisor if none runs, and wait until every part is ready.

    Raises NotReadyInTime naming the parts waited for, with the end of their logs, NotUsable or PartFailed if the
    supervisor gave up or a part fails again and again. The stack is left trying, except when the supervisor gave up.
    """
    make_home(home)
    # waiting for a supervisor that stops right now
    deadline = time.monotonic() + limit
    state = read_state(home)
    while is_up(home) and state is not None and state.state == "stopping":
        _sleep_until(deadline, f"the supervisor {state.supervisor.pid}, which is stopping")
        state = read_state(home)
    started = None if is_up(home) else _start_supervisor(home, port_base=port_base, only=only, bind=bind)
    try:
        return _wait_until_ready(home, started, deadline, limit, progress)
    finally:
        if started is not None and started.returncode is None:
            # it outlives us; without this the interpreter warns of a child that nobody waited for
            started.returncode = 0


def make_home(home: Home) -> None:
    """Make the home's folders. Raises NotUsable if the path cannot be one."""
    try:
        for folder in (home.root, home.run, home.logs):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotUsable(f"the home {home.root} cannot be made: {error.strerror}; name another with --home") from error


def _start_supervisor(home: Home, *, port_base: int | None, only: Sequence[str], bind: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "infra.devstack.supervisor", str(home.root), "--bind", bind]
    if port_base is not None:
        command += ["--port-base", str(port_base)]
    for name in only:
        command += ["--only", name]
    with (home.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # not the caller's directory: it could not be unmounted or deleted while the stack runs
            cwd=home.root,
        )


def _wait_until_ready(
    home: Home,
    started: subprocess.Popen[bytes] | None,
    deadline: float,
    limit: float,
    progress: Callable[[str], None],
) -> StackStatus:
    said: set[str] = set()
    begun = heard = time.monotonic()
    while True:
        state = read_state(home)
        # the file may still be that of an earlier supervisor
        if state is not None and started is not None and state.supervisor.pid != started.pid:
            state = None
        ended = started.poll() is not None if started is not None else not is_up(home)
        if ended:
            # of two starts at once one finds the other's lock: then that one is waited for
            if started is not None and is_up(home):
                started = None
                continue
            raise NotUsable(_why_ended(home, state))
        if state is not None:
            for part in state.parts:
                if part.state in ("ready", "done") and part.name not in said:
                    said.add(part.name)
                    seconds = "" if part.start_seconds is None else f"{part.start_seconds:6.1f} s"
                    progress(f"{part.name:<10} {part.state:<6} {seconds}")
                    heard = time.monotonic()
            if state.state == "ready":
                return stack_status(home)
            _give_up_on_hopeless(state)
        missing = [part.name for part in state.parts if part.name not in said] if state else ["the supervisor"]
        if time.monotonic() - heard > 10:
            heard = time.monotonic()
            progress(f"waiting for {', '.join(missing)} ({heard - begun:.0f} s)")
        if time.monotonic() > deadline:
            raise NotReadyInTime(_what_is_missing(home, state, missing, limit))
        time.sleep(0.1)


def _give_up_on_hopeless(state: StackState) -> None:
    for part in state.parts:
        if part.restarts >= HOPELESS and not part.optional and part.state not in ("ready", "done"):
            log = tail(Path(part.log), 15) if part.log else ""
            raise PartFailed(
                f"{part.name} failed {part.restarts} times: {part.last_error}\n{log}\n"
                "the stack goes on trying: see `tidemill status`, or end it with `tidemill down`"
            )


def _why_ended(home: Home, state: StackState | None) -> str:
    if state is not None and state.error:
        return state.error
    last = tail(home.logs / "supervisor.log", 1).strip()
    return last.removeprefix("error: ") or "the supervisor ended without a word"


def _what_is_missing(home: Home, state: StackState | None, missing: Sequence[str], limit: float) -> str:
    lines = [f"not ready within {limit:.0f} s: {', '.join(missing)}"]
    for part in state.parts if state else []:
        if part.name in missing and part.log:
            lines.append(f"the end of {part.log} ({part.state}):\n{tail(Path(part.log), 10)}")
    if state is None:
        lines.append(tail(home.logs / "supervisor.log", 10))
    lines.append("the stack goes on trying: see `tidemill status`, or end it with `tidemill down`")
    return "\n".join(lines)


def down(home: Home, *, limit: float = 90.0, progress: Callable[[str], None] = lambda _: None) -> bool:
    """Stop the stack and whatever a killed supervisor left; False if nothing ran. What is stored stays.

    Returns only when no process of the stack is left; a supervisor that does not stop within `limit` is killed.
    """
    state = read_state(home)
    ran = False
    if is_up(home):
        ran = True
        deadline = time.monotonic() + limit
        process = None
        while is_up(home):
            # a supervisor that was started a moment ago has written no state yet
            state = read_state(home)
            process = state.supervisor.process() if state else None
            if process is not None:
                break
            _sleep_until(deadline, "the supervisor to say its process number")
        if process is not None:
            _stop_supervisor(home, process, deadline, progress)
    killed = end_leftovers(home)
    for name in killed:
        progress(f"killed what was left: {name}")
    return ran or bool(killed)


def _stop_supervisor(home: Home, process: psutil.Process, deadline: float, progress: Callable[[str], None]) -> None:
    try:
        process.send_signal(signal.SIGTERM)
    except psutil.Error:
        return
    while is_up(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    if is_up(home):
        progress("the supervisor did not stop in time, killed")
        process.kill()
    # it lets go of the lock a moment before it ends
    try:
        process.wait(timeout=5)
    except psutil.TimeoutExpired:
        pass
    state = read_state(home)
    for part in state.parts if state else []:
        if not part.once:
            progress(f"{part.name:<10} {part.state}")


def reset(home: Home, *, progress: Callable[[str], None] = lambda _: None) -> None:
    """Stop the stack and delete all that it stored, also outside the home. Raises NotUsable if it is no home."""
    if home.root.exists() and not (home.run.is_dir() or home.stack_file.exists()):
        raise NotUsable(
            f"{home.root} is no home of a stack (neither stack.json nor run/ is there): nothing was deleted"
        )
    down(home, progress=progress)
    PostgresServer(home.root, port=0).delete()
    for name in CONTENTS:
        path = home.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    try:
        home.root.rmdir()
    except OSError:
        # something of the user's is in it: that stays
        pass


def _sleep_until(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise NotReadyInTime(f"waited too long for {what}")
    time.sleep(0.1)
