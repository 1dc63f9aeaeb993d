"""One worker process as its parent sees it: started, spoken to, killed with everything that it started."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import scoring

WORKER_FILE = Path(scoring.__file__).parent / "worker.py"
"""What a worker is started from: `<python> <this file> <descriptor of its end of a socket pair>`.

It and the folder `drivers` beside it are all that a worker needs; they may be copied elsewhere together. Nothing of
tidemill goes on PYTHONPATH: the files load each other by their place, so a user's modules never meet ours.
"""
_LONGEST_MESSAGE = 64 * 1024 * 1024
_SEND_LIMIT = 10.0
_END_LIMIT = 5.0

# by this mark of the stack's processes their supervisor finds what a killed service left behind, scripts' children too
_STACK_MARK = "TIDEMILL_STACK"
# a script's libraries must not start a thread for each core in each of the worker processes
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")


class WorkerGone(Exception):
    """The process ended, or does not keep to the protocol; it must be killed and replaced."""


class Process(Protocol):
    """A process of a session of its own: started from here, or forked for us by another one."""

    @property
    def pid(self) -> int:
        """0 while it is not known yet."""
        ...

    def said_hello(self, pid: int) -> None: ...

    def is_alive(self) -> bool: ...

    def end(self, limit: float) -> int | None:
        """Wait for it; its exit code, negative for a signal. None when it still lives after `limit` seconds."""
        ...

    def kill(self) -> None:
        """End it and all processes of its session's group, at once. Doing it again does nothing."""
        ...


class StartedProcess:
    """Process, started from here. Linux: it dies with the thread that started it."""

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], output: Path, passed: socket.socket
    ) -> None:
        with output.open("ab") as log:
            self._popen = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[passed.fileno()],
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def said_hello(self, pid: int) -> None:
        pass

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def end(self, limit: float) -> int | None:
        try:
            return self._popen.wait(limit)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        try:
            # the group lives on while one of its processes does, also after the worker itself has died
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.end(_END_LIMIT)  # one that hangs in the kernel, such as on a dead mount, is left to itself


class Parent(Protocol):
    """What workers are forked from."""

    def unpaid_seconds(self) -> float: ...


class WorkerProcess:
    """A process that runs `scoring.worker`, and our end of its channel."""

    def __init__(self, process: Process, ours: socket.socket, *, parent: Parent | None = None) -> None:
        """`parent` is the zygote that it was, or will be, forked from."""
        ours.setblocking(False)
        self.parent = parent
        self._process = process
        self._socket = ours
        self._received = bytearray()
        self.has_spoken = False

    @classmethod
    def start(cls, python: str, *, environment: Mapping[str, str], output: Path) -> WorkerProcess:
        """Start one. `output` takes what it prints outside of any job. Raises OSError where it cannot be started.

        The thread that calls this must live as long as the process shall: on Linux the worker dies with that thread.
        """
        ours, theirs = socket.socketpair()
        try:
            process = StartedProcess(
                [python, str(WORKER_FILE), str(theirs.fileno())], environment=environment, output=output, passed=theirs
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """0 before a forked worker has said hello."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises WorkerGone when it cannot be delivered."""
        body = json.dumps(message).encode()
        try:
            self._socket.settimeout(_SEND_LIMIT)
            self._socket.sendall(struct.pack(">I", len(body)) + body)
            self._socket.setblocking(False)
        except OSError as error:
            raise WorkerGone(f"worker process {self.pid} takes no message: {error}") from error

    def messages(self) -> Sequence[dict[str, Any]]:
        """What has come, without waiting. Raises WorkerGone at the end of the connection and for what is no message."""
        ended = False
        while True:
            try:
                part = self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            if not part:
                ended = True
                break
            self._received += part
        found = list(self._whole_messages())
        if found and not self.has_spoken:
            self.has_spoken = True
            self._process.said_hello(int(found[0].get("pid") or 0))
        if ended and not found:
            raise WorkerGone(f"worker process {self.pid} closed its connection")
        return found

    def how_it_ended(self) -> str:
        """In words. Waits a moment for a process that is just ending, and kills one that only closed its connection."""
        code = self._process.end(_END_LIMIT)
        if code is None:
            self.kill()
            return "the worker process closed its connection"
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = "unknown"
            hint = " (out of memory?)" if -code == signal.SIGKILL else ""
            return f"the worker process was killed by signal {-code}, {name}{hint}"
        return f"the worker process ended with exit code {code}"

    def kill(self) -> None:
        """End the process and the processes it started, at once. Doing it again does nothing."""
        if self._socket.fileno() >= 0:
            self._socket.close()
        self._process.kill()

    def _whole_messages(self) -> Sequence[dict[str, Any]]:
        found = []
        while len(self._received) >= 4:
            (length,) = struct.unpack_from(">I", self._received)
            if length > _LONGEST_MESSAGE:
                raise WorkerGone(f"worker process {self.pid} announced a message of {length} bytes")
            if len(self._received) < 4 + length:
                break
            body = bytes(self._received[4 : 4 + length])
            del self._received[: 4 + length]
            try:
                message = json.loads(body)
            except ValueError:
                raise WorkerGone(f"worker process {self.pid} sent what is no message") from None
            if not isinstance(message, dict) or "op" not in message:
                raise WorkerGone(f"worker process {self.pid} sent what is no message")
            found.append(message)
        return found


def worker_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of every worker: ours, less tidemill's settings (addresses with passwords), one thread each."""
    kept = {n: value for n, value in inherited.items() if n == _STACK_MARK or not n.startswith("TIDEMILL_")}
    return {**dict.fromkeys(_ONE_THREAD, "1"), **kept}
