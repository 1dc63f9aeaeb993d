"""Starts the parts in order, restarts those that end, stops them in reverse order. One thread decides.

Run as `python -m infra.devstack.supervisor HOME`; `infra.devstack.control` starts it detached or calls `supervise`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import psutil

from infra.devstack.backoff import RestartPolicy
from infra.devstack.errors import NotUsable, StackError
from infra.devstack.leftovers import end_leftovers, is_marked
from infra.devstack.logs import rotate
from infra.devstack.parts import Part, choose, waits
from infra.devstack.ports import assign
from infra.devstack.processes import MARKER, Launch, signal_group, spawn, tail
from infra.devstack.services import PORTS, addresses, stack_parts
from infra.devstack.state import (
    Identity,
    PartState,
    StackState,
    SupervisorLock,
    remembered_ports,
    write_addresses,
    write_state,
)
from infra.devstack.stream_workers import StreamWorkers
from infra.home import Home

PR_SET_CHILD_SUBREAPER = 36
# a part that was ready and then does not answer for this long is ended and started again
HANGING_SECONDS = 60.0
TICK_SECONDS = 0.1
PROBE_SECONDS = 2.0
LOOK_SECONDS = 1.0
LONGEST_LINE = 200


@dataclass(slots=True)
class Running:
    """The supervisor's own bookkeeping of a part; `state` is what others see of it."""

    part: Part
    needs: tuple[str, ...]
    state: PartState
    launch: Launch | None = None
    process: subprocess.Popen[bytes] | None = None
    preparing: Future[None] | None = None
    probe: Future[bool] | None = None
    probed_at: float = 0.0
    started_at: float = 0.0
    ready_at: float | None = None
    unready_at: float | None = None
    failures: int = 0
    retry_at: float = 0.0
    leave_by: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Keeps `parts` running until `request_stop()`. Run it in the main thread: children die with the thread.

    `found` is asked again and again for parts that come and go while the stack runs.
    """

    home: Home
    parts: Sequence[Part]
    found: Callable[[], Sequence[Part]] = tuple
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    progress: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    _running: dict[str, Running] = field(init=False)
    _state: StackState = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _stopping: bool = field(init=False, default=False)
    _written_at: float = field(init=False, default=0.0)
    _looked_at: float = field(init=False, default=-LOOK_SECONDS)

    def __post_init__(self) -> None:
        own = Identity.of(os.getpid())
        assert own is not None
        self._running = {}
        self._state = StackState(supervisor=own)
        for part in self.parts:
            self._add(part)
        self._pool = ThreadPoolExecutor(max_workers=2 * len(self.parts) + 4, thread_name_prefix="probe")

    def _add(self, part: Part) -> None:
        state = PartState(name=part.name, once=part.once, optional=part.optional, address=part.address)
        self._running[part.name] = Running(part, waits(part, self.parts), state)
        self._state.parts.append(state)

    def request_stop(self) -> None:
        """Ask `run` to stop all parts and return; safe in a signal handler."""
        self._stopping = True

    def run(self, wait: Callable[[float], None] = time.sleep) -> str | None:
        """Until asked to stop, or until a part can never start: then its reason is returned, else None."""
        error: str | None = None
        adopt_orphans(True)
        try:
            while not self._stopping:
                self._tick()
                wait(TICK_SECONDS)
        except NotUsable as failure:
            error = str(failure)
        except OSError as failure:
            # the home is gone or the disk is full: without the state nobody could find the children
            error = f"the supervisor cannot go on: {failure}"
        finally:
            self._state.error = error
            self._stop_all()
            self._pool.shutdown(wait=False, cancel_futures=True)
            adopt_orphans(False)
        return error

    # -- starting and watching ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.clock()
        before = [(one.state.name, one.state.state, one.state.restarts) for one in self._running.values()]
        self._look(now)
        for one in list(self._running.values()):
            self._advance(one, now)
        self._state.state = self._whole()
        after = [(one.state.name, one.state.state, one.state.restarts) for one in self._running.values()]
        if after != before or now - self._written_at > 1.0:
            self._written_at = now
            write_state(self.home, self._state)
            sweep_orphans(self.home, {one.process.pid for one in self._running.values() if one.process})
            for one in self._running.values():
                if one.launch is not None:
                    rotate(one.launch.log)

    def _look(self, now: float) -> None:
        """Take in parts that have come, and send those away that have gone or are of another edition now."""
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        fixed = {part.name for part in self.parts}
        wanted = {part.name: part for part in self.found() if part.name not in fixed}
        for name, one in self._running.items():
            if name in fixed or one.leave_by is not None:
                continue
            if name not in wanted or wanted[name].edition != one.part.edition:
                one.leave_by = now + one.part.grace
                if one.process is not None and one.launch is not None and one.process.poll() is None:
                    one.process.send_signal(one.launch.stop_signal)
        for name, part in wanted.items():
            if name not in self._running:
                self._add(part)

    def _leave(self, one: Running, now: float) -> None:
        """Once it has ended, or was given its time, nothing is left of it."""
        assert one.leave_by is not None
        if one.process is not None:
            if one.process.poll() is None and now < one.leave_by:
                return
            signal_group(one.process.pid, signal.SIGKILL)
            one.process.wait()
        del self._running[one.part.name]
        self._state.parts.remove(one.state)
        self.progress(f"{one.part.name}: gone")
        self._looked_at = now - LOOK_SECONDS

    def _advance(self, one: Running, now: float) -> None:
        if one.leave_by is not None:
            self._leave(one, now)
            return
        match one.state.state:
            case "waiting":
                if all(self._satisfied(name) for name in one.needs):
                    self._prepare(one)
            case "preparing":
                self._start_when_prepared(one, now)
            case "starting" | "ready" | "unready":
                self._watch(one, now)
            case "restarting":
                # what it needs may have ended too, and it would only fail again
                if now >= one.retry_at and all(self._satisfied(name) for name in one.needs):
                    self._prepare(one)

    def _satisfied(self, name: str) -> bool:
        return self._running[name].state.state in ("ready", "done")

    def _prepare(self, one: Running) -> None:
        self._say(one, "preparing")
        one.preparing = self._pool.submit(one.part.prepare, self.progress)

    def _start_when_prepared(self, one: Running, now: float) -> None:
        assert one.preparing is not None
        if not one.preparing.done():
            return
        try:
            one.preparing.result()
            one.launch = one.part.launch()
            one.launch = replace(one.launch, env={**one.launch.env, MARKER: str(self.home.root)})
            one.process = spawn(one.launch)
        except NotUsable as error:
            if one.state.restarts == 0 and not one.part.optional:
                raise
            self._failed(one, now, str(error))
            return
        except (StackError, OSError, subprocess.SubprocessError) as error:
            self._failed(one, now, str(error))
            return
        finally:
            one.preparing = None
        one.started_at, one.ready_at, one.unready_at, one.probe = now, None, None, None
        one.state.process = Identity.of(one.process.pid)
        one.state.log = str(one.launch.log)
        self._say(one, "starting")

    def _watch(self, one: Running, now: float) -> None:
        assert one.process is not None
        code = one.process.poll()
        if code is not None:
            self._ended(one, now, code)
        elif one.part.once:
            if now - one.started_at > one.part.limit:
                self._kill(one, now, f"did not end within {one.part.limit:.0f} s")
        elif one.probe is not None and one.probe.done():
            answer = one.probe.exception() is None and one.probe.result()
            one.probe = None
            self._judge(one, now, answer)
        elif one.probe is None and now - one.probed_at >= (TICK_SECONDS if one.ready_at is None else PROBE_SECONDS):
            one.probed_at = now
            one.probe = self._pool.submit(one.part.ready, one.process.pid)

    def _judge(self, one: Running, now: float, answer: bool) -> None:
        if answer:
            one.unready_at = None
            if one.ready_at is None:
                one.ready_at = now
                one.state.start_seconds = now - one.started_at
            if one.state.state != "ready":
                self._say(one, "ready")
        elif one.ready_at is None:
            if now - one.started_at > one.part.limit:
                self._kill(one, now, f"was not ready within {one.part.limit:.0f} s")
        elif one.unready_at is None:
            one.unready_at = now
            self._say(one, "unready")
        elif not all(self._satisfied(name) for name in one.needs):
            # it cannot answer well without what it needs, and may be in the middle of work that it will go on with
            one.unready_at = now
        elif now - one.unready_at > HANGING_SECONDS:
            self._kill(one, now, f"did not answer for {HANGING_SECONDS:.0f} s")

    def _ended(self, one: Running, now: float, code: int) -> None:
        if one.part.once and code == 0:
            one.state.process = None
            one.state.start_seconds = now - one.started_at
            self._say(one, "done")
            return
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._failed(one, now, f"ended: {how}")

    def _kill(self, one: Running, now: float, reason: str) -> None:
        assert one.process is not None
        signal_group(one.process.pid, signal.SIGKILL)
        one.process.wait()
        self._failed(one, now, reason)

    def _failed(self, one: Running, now: float, reason: str) -> None:
        if one.process is not None:
            # its own children may outlive it, and hold its port or its work
            signal_group(one.process.pid, signal.SIGKILL)
        one.process, one.state.process = None, None
        last = tail(one.launch.log, 1).strip()[:LONGEST_LINE] if one.launch else ""
        one.state.last_error = f"{reason}; last line of its log: {last}" if last else reason
        one.failures = self.policy.failures(one.failures, 0.0 if one.ready_at is None else now - one.ready_at)
        one.ready_at = None
        one.state.restarts += 1
        one.retry_at = now + self.policy.delay(one.failures)
        self._say(one, "restarting")

    def _whole(self) -> str:
        if all(self._satisfied(name) for name, one in self._running.items() if not one.part.optional):
            return "ready"
        return "starting" if self._state.state == "starting" else "degraded"

    def _say(self, one: Running, state: str) -> None:
        one.state.state = state
        one.state.since = time.time()
        if state in ("ready", "done", "unready"):
            seconds = f" after {one.state.start_seconds:.1f} s" if one.state.start_seconds is not None else ""
            self.progress(f"{one.part.name}: {state}{seconds}")
        elif state == "restarting":
            again = self.policy.delay(one.failures)
            self.progress(f"{one.part.name}: {one.state.last_error}; next try in {again:.1f} s")

    # -- stopping ----------------------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        self._state.state = "stopping"
        self._write_if_possible()
        for layer in stop_layers(list(self._running.values())):
            self._stop_layer(layer)
        end_leftovers(self.home, patience=0)
        for one in self._running.values():
            one.state.process = None
            one.state.state = "done" if one.state.state == "done" else "stopped"
        self._state.state = "failed" if self._state.error else "stopped"
        self._write_if_possible()

    def _stop_layer(self, layer: Sequence[Running]) -> None:
        """Ask all of them at once, wait for each to its grace, kill what is left of their groups."""
        asked = self.clock()
        for one in layer:
            if one.process is not None and one.launch is not None and one.process.poll() is None:
                one.process.send_signal(one.launch.stop_signal)
        for one in layer:
            if one.process is None:
                continue
            try:
                one.process.wait(timeout=max(0.0, asked + one.part.grace - self.clock()))
            except subprocess.TimeoutExpired:
                self.progress(f"{one.part.name}: did not end within {one.part.grace:.0f} s, killed")
            signal_group(one.process.pid, signal.SIGKILL)
            one.process.wait()
            one.process = None

    def _write_if_possible(self) -> None:
        try:
            write_state(self.home, self._state)
        except OSError:
            pass


def stop_layers(running: Sequence[Running]) -> list[list[Running]]:
    """Groups to stop one after another: nothing stops before all that need it have ended."""
    left = list(running)
    layers = []
    while left:
        needed = {name for one in left for name in one.needs}
        layer = [one for one in left if one.part.name not in needed] or left
        layers.append(layer)
        left = [one for one in left if one not in layer]
    return layers


def adopt_orphans(on: bool) -> None:
    """Whether grandchildren whose parent dies become ours (Linux), so that they can be told from those at work."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def sweep_orphans(home: Home, own: set[int]) -> None:
    """End and collect grandchildren that became ours as the part that started them is gone."""
    for child in psutil.Process().children():
        if child.pid in own:
            continue
        try:
            if is_marked(child, home):
                child.kill()
            elif child.status() == psutil.STATUS_ZOMBIE and os.getpgid(child.pid) != os.getpgrp():
                # those in our own group are waited for by whoever started them
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.Error, OSError):
            continue


def supervise(
    home: Home,
    *,
    port_base: int | None,
    only: Sequence[str],
    bind: str,
    progress: Callable[[str], None],
) -> str | None:
    """Run the stack of `home` in this process until SIGTERM or SIGINT. The reason if it could not be started.

    Raises NotUsable if another supervisor runs, a port is in use, or `only` names no part.
    """
    lock = SupervisorLock(home)
    if not lock.acquire():
        raise NotUsable(f"a supervisor already runs for {home.root}")
    try:
        home.logs.mkdir(parents=True, exist_ok=True)
        for killed in end_leftovers(home):
            progress(f"ended what an earlier supervisor left: {killed}")
        ports = assign(PORTS, base=port_base, remembered=remembered_ports(home))
        parts = choose(stack_parts(home, ports, bind=bind), only)
        write_addresses(home, addresses(home, ports, bind=bind), ports)
        workers = StreamWorkers(home) if any(part.name == "stream" for part in parts) else None
        found = workers.parts if workers is not None else tuple
        return _run_with_signals(Supervisor(home=home, parts=parts, found=found, progress=progress))
    finally:
        lock.release()


def _run_with_signals(supervisor: Supervisor) -> str | None:
    """Run until a signal; a child's end wakes it at once."""
    awake, wake = os.pipe()
    os.set_blocking(awake, False)
    os.set_blocking(wake, False)

    def stop(_: int, __: FrameType | None) -> None:
        supervisor.request_stop()

    def child_ended(_: int, __: FrameType | None) -> None:
        pass

    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: stop, signal.SIGCHLD: child_ended}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}

    def wait(seconds: float) -> None:
        if select.select([awake], [], [], seconds)[0]:
            os.read(awake, 4096)

    try:
        return supervisor.run(wait)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(awake)
        os.close(wake)


def main() -> None:
    """The detached supervisor: its output is its log."""
    arguments = argparse.ArgumentParser(prog="python -m infra.devstack.supervisor")
    arguments.add_argument("home", type=Path)
    arguments.add_argument("--port-base", type=int)
    arguments.add_argument("--bind", default="127.0.0.1")
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()

    def progress(line: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {line}", flush=True)

    try:
        error = supervise(
            Home(given.home), port_base=given.port_base, only=given.only, bind=given.bind, progress=progress
        )
    except StackError as failure:
        error = str(failure)
    if error:
        print(f"error: {error}", file=sys.stderr, flush=True)
    # not sys.exit: a probe or a download that still runs in a thread must not keep a stopped stack's supervisor
    sys.stdout.flush()
    os._exit(1 if error else 0)


if __name__ == "__main__":
    main()
