"""Keeps one command: starts it, writes what it prints into its log, and ends with it all that it has started.

Started by path (`<python> -I -S …/keeper.py <fd>`), so it imports nothing but the standard library. Messages are JSON
behind a 4-byte big-endian length, as those of scoring.worker:

    parent -> keeper   {"op": "run", …}   once: argv, cwd, environment, log, lock, log_limit, memory_limit
                       {"op": "end", "grace": 2.0}   end it: SIGTERM, after the grace SIGKILL
    keeper -> parent   started (pid), ended (code, words, core_seconds, strays), refused (error)

The closed channel of a parent that was killed ends the command at once. The keeper holds the file `lock` until all is
over: a successor that runs the same command again cannot begin beside it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

_DIE_WITH_PARENT, _BE_SUBREAPER = 1, 36  # of prctl
_TICK = 0.1
_LOCK_LIMIT = 30.0
_KILL_LIMIT = 10.0
_DRAIN_LIMIT = 2.0
_WORDS = 4096
_TAIL = 64 * 1024
_PIECE = 1 << 16


class Log:
    """What the command prints, as far as there is room: the beginning, and of what is longer the end."""

    def __init__(self, path: str, limit: int) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        self._left = limit
        self._limit = limit
        self._tail = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        kept = data[: max(0, self._left)]
        self._left -= len(kept)
        self._put(kept)
        rest = data[len(kept) :]
        if rest:
            self._dropped += len(rest)
            self._tail += rest
            del self._tail[:-_TAIL]

    def close(self) -> None:
        if self._dropped:
            cut = self._dropped - len(self._tail)
            self._put(f"\n... (cut: {cut} bytes more than the {self._limit >> 20} MiB that are kept)\n".encode())
            self._put(bytes(self._tail))
        self._file.close()

    def _put(self, data: bytes) -> None:
        try:
            if data:
                self._file.write(data)
        except OSError:
            self._left = 0  # a full disk must not end the command


class Keeper:
    """One command, from its start until nothing of it is left."""

    def __init__(self, channel: socket.socket, order: dict[str, Any]) -> None:
        self._channel = channel
        self._order = order
        self._log = Log(order["log"], int(order["log_limit"]))
        self._words = bytearray()
        self._core_seconds = 0.0
        self._code = None  # type: int | None
        self._strays = 0
        self._ends_at = None  # type: float | None

    def run(self) -> dict[str, Any]:
        """The last message. What ends the keeper early (a closed channel) ends the command before."""
        lock = open(self._order["lock"], "a")  # noqa: SIM115
        if not self._locked(lock):
            return {"op": "refused", "error": f"what ran of this job before has not ended within {_LOCK_LIMIT:.0f} s"}
        try:
            process = subprocess.Popen(
                self._order["argv"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._order["environment"],
                cwd=self._order["cwd"],
                start_new_session=True,
                preexec_fn=lambda: _before(self._order.get("memory_limit")),
            )
        except OSError as error:
            return {"op": "refused", "error": f"the command could not be started: {error}"}
        self._pid = process.pid
        _send(self._channel, {"op": "started", "pid": process.pid})
        assert process.stdout is not None
        assert process.stderr is not None
        pipes = {process.stdout.fileno(): False, process.stderr.fileno(): True}
        for fd in pipes:
            os.set_blocking(fd, False)
        try:
            self._follow(pipes)
        finally:
            self._kill_all()
            process.returncode = self._code  # it was reaped here
        self._drain(pipes)
        self._log.close()
        own = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "op": "ended",
            "code": self._code,
            "words": self._words.decode("utf-8", "replace"),
            "core_seconds": self._core_seconds + own.ru_utime + own.ru_stime,
            "strays": self._strays,
        }

    def _locked(self, lock: Any) -> bool:
        ends = time.monotonic() + _LOCK_LIMIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > ends or self._is_to_end(_TICK):
                    return False

    def _follow(self, pipes: dict[int, bool]) -> None:
        """Until the command has ended, or is to be killed."""
        while True:
            channel = self._channel.fileno()
            ready = _readable([channel, *pipes], _TICK)
            for fd in ready:
                if fd == channel:
                    if self._is_to_end(0.0) and self._ends_at is not None and self._ends_at <= time.monotonic():
                        return
                elif not self._read(fd, pipes[fd]):
                    del pipes[fd]
            self._reap()
            if self._code is not None:
                return
            if self._ends_at is not None and time.monotonic() >= self._ends_at:
                return

    def _is_to_end(self, seconds: float) -> bool:
        """Whether the parent wants the end, or is gone; the group is told once."""
        if not _readable([self._channel.fileno()], seconds):
            return False
        message = _receive(self._channel)
        if message is None:
            self._ends_at = 0.0
        elif self._ends_at is None:
            self._ends_at = time.monotonic() + float(message.get("grace", 0.0))
            if hasattr(self, "_pid"):
                _signal_group(self._pid, signal.SIGTERM)
        return True

    def _read(self, fd: int, is_error: bool) -> bool:
        try:
            data = os.read(fd, _PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self._log.write(data)
        if is_error:
            self._words += data
            del self._words[:-_WORDS]
        return True

    def _reap(self) -> bool:
        """Take the exits of the command and of orphans of it; whether one was taken."""
        taken = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return taken
            if pid == 0:
                return taken
            taken = True
            self._core_seconds += usage.ru_utime + usage.ru_stime
            if pid == self._pid:
                self._code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _kill_all(self) -> None:
        """The group, and whoever left it: orphans of the command become children of this process."""
        ends = time.monotonic() + _KILL_LIMIT
        self._reap()
        # counted before the first is killed: those of the group may be gone at the next look
        left = _descendants(os.getpid())
        _signal_group(self._pid, signal.SIGKILL)
        while left and time.monotonic() < ends:
            self._strays = max(self._strays, len([pid for pid in left if pid != self._pid]))
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self._reap()
            left = _descendants(os.getpid())
            if left:
                time.sleep(0.01)
        self._reap()
        if self._code is None:
            self._code = -signal.SIGKILL

    def _drain(self, pipes: dict[int, bool]) -> None:
        """What was printed and not read yet; nobody prints any more."""
        ends = time.monotonic() + _DRAIN_LIMIT
        while pipes and time.monotonic() < ends:
            ready = _readable(list(pipes), _TICK)
            if not ready:
                return
            for fd in ready:
                if not self._read(fd, pipes[fd]):
                    del pipes[fd]


def _readable(descriptors: list[int], seconds: float) -> list[int]:
    """Those of them with something to read; `select.select` would refuse numbers of 1024 and more."""
    waits = select.poll()
    for descriptor in descriptors:
        waits.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in waits.poll(seconds * 1000)]


def _before(memory_limit: int | None) -> None:
    """In the command's process, before it becomes the command."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if memory_limit:
        # not its address space: libraries reserve far more of that than they use
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("800")  # when memory runs out the kernel shall take this, and not the service
    except OSError:
        pass


def _descendants(pid: int) -> list[int]:
    found = []  # type: list[int]
    waiting = [pid]
    while waiting:
        above = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{above}/task"):
                with open(f"/proc/{above}/task/{task}/children") as file:
                    below = [int(word) for word in file.read().split()]
                found += below
                waiting += below
        except OSError:
            continue
    return found


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    try:
        channel.sendall(struct.pack(">I", len(body)) + body)
    except OSError:
        pass  # the parent is gone, which the next look at the channel tells


def _receive(channel: socket.socket) -> dict[str, Any] | None:
    head = _exactly(channel, 4)
    body = None if head is None else _exactly(channel, struct.unpack(">I", head)[0])
    return None if body is None else json.loads(body.decode())


def _exactly(channel: socket.socket, length: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        try:
            part = channel.recv(length - len(parts))
        except OSError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


def main(fd: int) -> None:
    os.set_inheritable(fd, False)
    channel = socket.socket(fileno=fd)
    ctypes.CDLL(None).prctl(_BE_SUBREAPER, 1, 0, 0, 0)
    order = _receive(channel)
    if order is not None:
        _send(channel, Keeper(channel, order).run())


if __name__ == "__main__":
    main(int(sys.argv[1]))
