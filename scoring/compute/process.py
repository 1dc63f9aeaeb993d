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
from typing import Any

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


class WorkerProcess:
    """A process that runs `scoring.worker`, in a session and process group of its own.

    The thread that makes it must live as long as the process shall: on Linux the worker dies with that thread.
    """

    def __init__(self, python: str, *, environment: Mapping[str, str], output: Path) -> None:
        """Start it. `output` takes what it prints outside of any job. Raises OSError where it cannot be started."""
        ours, theirs = socket.socketpair()
        try:
            with output.open("ab") as log:
                self._process = subprocess.Popen(
                    [python, str(WORKER_FILE), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    env=dict(environment),
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        self._received = bytearray()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

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
        if ended and not found:
            raise WorkerGone(f"worker process {self.pid} closed its connection")
        return found

    def how_it_ended(self) -> str:
        """In words. Waits a moment for a process that is just ending, and kills one that only closed its connection."""
        try:
            code = self._process.wait(_END_LIMIT)
        except subprocess.TimeoutExpired:
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
        try:
            # the group lives on while one of its processes does, also after the worker itself has died
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            self._process.wait(_END_LIMIT)
        except subprocess.TimeoutExpired:
            pass  # it hangs in the kernel, such as on a dead mount: nothing can be done about it here

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
