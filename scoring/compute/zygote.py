"""A parent of workers as the service sees it: started once, asked for forks, told whom to reap."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.compute.process import WORKER_FILE, StartedProcess, WorkerProcess
from scoring.compute.processor_time import core_seconds
from scoring.compute.readiness import is_readable

_REAP_LIMIT = 5.0
_SEND_LIMIT = 5.0
_LONGEST_MESSAGE = 1 << 18

CAN_FORK = sys.platform == "linux" and hasattr(os, "pidfd_open")


@dataclass(frozen=True, kw_only=True)
class Import:
    """`import <module>`, or `from <module> import <names>`, whose names may be modules too."""

    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Imported:
    """How a zygote's imports ended. `culprit` is the module after which nothing may be forked any more."""

    seconds: float
    culprit: str | None
    why: str | None


class Zygote:
    """A process of the interpreter that has imported modules; workers forked from it need not import them again."""

    def __init__(
        self,
        python: str,
        *,
        imports: Sequence[Import],
        variables: Mapping[str, str],
        environment: Mapping[str, str],
        output: Path,
    ) -> None:
        """Start it; it is not waited for. Raises OSError. It dies with the thread that makes it, and its workers too.

        variables  set before the first import, as libraries read some then
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            arguments = [python, str(WORKER_FILE), str(theirs.fileno()), "forks"]
            self._process = StartedProcess(arguments, environment=environment, output=output, passed=theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(_SEND_LIMIT)
        self._socket = ours
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._living: set[int] = set()
        self._paid = 0.0
        self.imported: Imported | None = None
        modules = [[wanted.module, list(wanted.names)] for wanted in imports]
        self._send({"op": "import", "modules": modules, "environment": dict(variables)})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def living(self) -> int:
        """How many of its workers have not been killed."""
        return len(self._living)

    def fork(self) -> WorkerProcess:
        """A worker, at once: it speaks as soon as the imports are done. Raises OSError where the zygote is gone."""
        ours, theirs = socket.socketpair()
        try:
            with self._lock:
                while self._heard(0.0) is not None:
                    pass  # answers that nobody waited for must not fill the connection
                number = next(self._numbers)
                self._send({"op": "fork", "id": number}, theirs)
                self._living.add(number)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return WorkerProcess(_ForkedProcess(self, number), ours, parent=self)

    def reap(self, number: int, *, wait: bool) -> int | None:
        """Kill that worker if it lives. Its exit code, negative for a signal; None where that cannot be told."""
        with self._lock:
            self._living.discard(number)
            try:
                self._send({"op": "reap", "id": number})
            except OSError:
                return None
            ends = time.monotonic() + _REAP_LIMIT
            while wait:
                answer = self._heard(max(0.0, ends - time.monotonic()))
                if answer is None:
                    return None
                if answer["op"] == "reaped" and answer["id"] == number:
                    status = answer["status"]
                    return None if status is None else os.waitstatus_to_exitcode(status)
        return None

    def look(self) -> Imported | None:
        """How the imports ended, as far as it has told."""
        if self.imported is None:
            with self._lock:
                while self._heard(0.0) is not None:
                    pass
        return self.imported

    def unpaid_seconds(self) -> float:
        """Processor time of its own since it was last asked: of imports, mostly, for whoever needed them."""
        used = core_seconds(self.pid, children=False) or self._paid
        unpaid, self._paid = max(0.0, used - self._paid), max(used, self._paid)
        return unpaid

    def kill(self) -> None:
        """End it, and with it all of its workers."""
        self._process.kill()
        self._socket.close()

    def _heard(self, seconds: float) -> dict[str, Any] | None:
        """The next answer; None when none comes in time, or ever."""
        try:
            if not is_readable(self._socket, seconds):
                return None
            data = self._socket.recv(_LONGEST_MESSAGE)
        except (OSError, ValueError):
            return None
        if not data:
            return None
        answer: dict[str, Any] = json.loads(data)
        if answer["op"] == "imported":
            self.imported = Imported(seconds=answer["seconds"], culprit=answer["culprit"], why=answer["why"])
        return answer

    def _send(self, message: Mapping[str, Any], given: socket.socket | None = None) -> None:
        data = json.dumps(message).encode()
        if given is None:
            self._socket.send(data)
        else:
            socket.send_fds(self._socket, [data], [given.fileno()])


class _ForkedProcess:
    """Process, forked by a zygote, which is its parent and reaps it when told."""

    def __init__(self, zygote: Zygote, number: int) -> None:
        self._zygote = zygote
        self._number = number
        self._pid = 0
        self._handle: int | None = None
        self._code: int | None = None
        self._is_reaped = False

    @property
    def pid(self) -> int:
        return self._pid

    def said_hello(self, pid: int) -> None:
        # nobody but us has it reaped, so the number is its own, even if it has died already
        self._pid = pid
        try:
            self._handle = os.pidfd_open(pid)
        except OSError:
            self._handle = None  # the zygote died, and the worker with it

    def is_alive(self) -> bool:
        if self._is_reaped:
            return False
        if self._pid == 0:
            return self._zygote.is_alive
        return not self._has_ended(0.0)

    def end(self, limit: float) -> int | None:
        if self._is_reaped:
            return self._code
        # one that never spoke has no number yet: killing it is all that can be done about it
        if self._pid and not self._has_ended(limit):
            return None
        self.kill()
        return self._code if self._code is not None else -signal.SIGKILL

    def kill(self) -> None:
        if self._is_reaped:
            return
        self._is_reaped = True
        if self._pid:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self._code = self._zygote.reap(self._number, wait=self._pid != 0)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _has_ended(self, limit: float) -> bool:
        if self._handle is None:
            return True
        try:
            return is_readable(self._handle, limit)
        except (OSError, ValueError):
            return True
