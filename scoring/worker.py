"""The child-process side: loads a scoring script, scores mini-batches, reports on a private channel.

Started by path (`python …/worker.py <fd>`) inside the user's environment, which has no tidemill: written for Python
3.8, importing nothing but the standard library. It is not imported by the rest of tidemill. `worker.py <fd> forks` is
a parent of workers instead (see drivers/zygote.py).

Messages are JSON behind a 4-byte big-endian length, on a socket that only this process and its parent know: whatever
the script does to stdout, stderr or stdin, it cannot garble them.

    parent -> worker   {"op": "job", …}      load the script for this job, call init()
                       {"op": "score", …}    score one mini-batch
                       {"op": "end"}         call shutdown(), flush the logs
    worker -> parent   hello, ready, init_failed, loaded, scored, raised, exited, ended
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from types import ModuleType
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_LONGEST_MESSAGE = 64 * 1024 * 1024
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Channel:
    """The private connection to the parent. Not for a fork of this process: it may be read by one process only."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._pid = os.getpid()

    def send(self, message: dict[str, Any]) -> None:
        if os.getpid() != self._pid:
            # the script forked and its child came back here: it must not answer in our name
            os._exit(0)
        body = json.dumps(message).encode()
        self._socket.sendall(struct.pack(">I", len(body)) + body)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the parent has closed the connection."""
        if os.getpid() != self._pid:
            os._exit(0)
        head = self._exactly(4)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > _LONGEST_MESSAGE:
            raise ValueError(f"a message of {length} bytes is too long")
        body = self._exactly(length)
        return None if body is None else json.loads(body.decode())

    def _exactly(self, length: int) -> bytes | None:
        parts = []
        while length:
            part = self._socket.recv(min(length, 1 << 20))
            if not part:
                return None
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def main(fd: int) -> None:
    """Serve the parent until it says goodbye or goes away."""
    _die_with_parent()
    _die_first()
    channel = Channel(fd)
    base_environment = dict(os.environ)
    channel.send({"op": "hello", "pid": os.getpid(), "python": ".".join(str(part) for part in sys.version_info[:3])})
    driver = None  # type: Any
    while True:
        message = channel.receive()
        if message is None:
            break
        if message["op"] == "job":
            driver = _driver(message["driver"]).start(message, base_environment, _driver)
            _answer(channel, driver.init(), ok="ready", failed="init_failed")
        elif message["op"] == "score":
            _score(channel, driver, message)
        elif message["op"] == "end":
            if driver is not None:
                driver.close()
                driver = None
            channel.send({"op": "ended", "clean": _is_clean()})
    if driver is not None:
        driver.close()


def _score(channel: Channel, driver: Any, message: dict[str, Any]) -> None:
    started = time.monotonic()
    key = {"index": message["index"], "try": message["try"]}

    def loaded(items: int) -> None:
        # from here on the clock of retry_settings.timeout runs: reading the input is not the script's time
        channel.send(dict(key, op="loaded", items=items))

    outcome = driver.score(message, loaded)
    outcome.update(key, seconds=time.monotonic() - started)
    _answer(channel, outcome, ok="scored", failed="raised")


def _answer(channel: Channel, outcome: dict[str, Any], ok: str, failed: str) -> None:
    """Send the outcome. A script that asked to exit gets its wish: the parent starts another process."""
    leaves = outcome.pop("exit", False)
    if leaves:
        outcome["op"] = "exited"
    else:
        outcome["op"] = failed if outcome.get("error") is not None else ok
    channel.send(outcome)
    if leaves:
        os._exit(0)


def _driver(name: str) -> ModuleType:
    """A file of `drivers`, loaded by its place: this process must not see tidemill's packages under their names."""
    known = "_tidemill_driver_" + name
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, os.path.join(_HERE, "drivers", name + ".py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


def _die_with_parent() -> None:
    """Linux: SIGKILL to this process when the thread that started it ends. Elsewhere the closed channel must do."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError, ImportError):
        return
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked


def _is_clean() -> bool:
    """Whether nothing of the script goes on in here: a thread or a child of it would work on in the next job."""
    if threading.active_count() > 1:
        return False
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return not file.read().split()
    except OSError:
        return True


def _die_first() -> None:
    """When memory runs out the kernel shall take a scoring script, which is tried again, and not the service."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("800")
    except OSError:
        pass


if __name__ == "__main__":
    # the script's folder would otherwise come before the user's: `import model` must never find ours
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
    channel_fd = int(sys.argv[1])  # type: int | None
    if sys.argv[2:] == ["forks"]:
        _die_with_parent()
        channel_fd = _driver("zygote").serve(channel_fd, _driver)
    if channel_fd is not None:
        main(channel_fd)
