"""A parent of worker processes: imports what scripts need, once, and forks a worker whenever one is wanted.

A fork copies one thread alone: where an import has left threads behind or opened a GPU, workers forked from here would
hang. Such an import is named to whoever started this process, and nothing is forked.

Messages are JSON, one a packet, on a socket of packets:

    service -> here   {"op": "import", "modules": [[name, [from, …]], …], "environment": {…}}
                      {"op": "fork", "id": n} with the worker's end of its channel
                      {"op": "reap", "id": n}   kill it if it lives, and tell how it ended
    here -> service   {"op": "imported", "seconds": s, "culprit": null or a module, "why": …}
                      {"op": "reaped", "id": n, "status": a wait status, or null}
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_LONGEST_MESSAGE = 1 << 18
_REAP_SECONDS = 4.0
# Arrow's allocator keeps this one, stops it around a fork and does without it in the child
_BEAR_A_FORK = {"jemalloc_bg_thd"}
_DRIVERS = ("script", "failures", "rows", "entry_script")


def serve(fd: int, load: Callable[[str], ModuleType]) -> int | None:
    """Answer until the service goes away; None then. In a forked worker: the descriptor of its channel."""
    os.set_inheritable(fd, False)
    control = socket.socket(fileno=fd)
    children = {}  # type: dict[int, int]
    may_fork = True
    for name in _DRIVERS:
        load(name)
    while True:
        message, given = _received(control)
        if message is None:
            return None
        if message["op"] == "import":
            may_fork = _imported(control, message)
        elif message["op"] == "fork":
            pid = os.fork() if may_fork else -1
            if pid == 0:
                control.close()
                _become_a_worker()
                return given[0]
            if pid > 0:
                children[message["id"]] = pid
        elif message["op"] == "reap":
            status = _reaped(children.pop(message["id"], None))
            _send(control, {"op": "reaped", "id": message["id"], "status": status})
        for descriptor in given:
            os.close(descriptor)


def _received(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    space = socket.CMSG_SPACE(array.array("i").itemsize)
    try:
        data, ancillary, _, _ = control.recvmsg(_LONGEST_MESSAGE, space)
    except OSError:
        return None, []
    given = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            given.frombytes(content[: len(content) - len(content) % given.itemsize])
    if not data:
        return None, []
    return json.loads(data.decode()), list(given)


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except OSError:
        pass  # the service is gone: the next message will be the end of the connection


def _imported(control: socket.socket, message: dict[str, Any]) -> bool:
    started = time.monotonic()
    os.environ.update(message["environment"])
    culprit, why = None, _why_not_fork()
    for name, wanted in message["modules"]:
        if why is not None:
            break
        # a script that imports it meets the same error, and there it is told to its author
        with contextlib.suppress(BaseException):
            module = importlib.import_module(name)
            for inner in wanted:
                if not hasattr(module, inner) and hasattr(module, "__path__"):
                    importlib.import_module(name + "." + inner)
        why = _why_not_fork()
        culprit = name if why is not None else None
    _flush()
    gc.collect()
    gc.freeze()  # the children's collector must not touch, and so copy, what they share
    seconds = time.monotonic() - started
    _send(control, {"op": "imported", "seconds": seconds, "culprit": culprit, "why": why})
    return why is None


def _why_not_fork() -> str | None:
    threads = [name for name in map(_thread_name, os.listdir("/proc/self/task")) if name not in _BEAR_A_FORK]
    if len(threads) > 1:
        return f"it left {len(threads) - 1} threads running"
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + descriptor)
        except OSError:
            continue
        if target.startswith(("/dev/nvidia", "/dev/dri/", "/dev/kfd")):
            return "it opened " + target
    return None


def _thread_name(number: str) -> str | None:
    try:
        with open("/proc/self/task/" + number + "/comm") as file:
            return file.read().strip()
    except OSError:
        return None


def _become_a_worker() -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        # all children would draw the same numbers; Python's own generator is seeded anew by fork
        with contextlib.suppress(Exception):
            numpy.random.seed()


def _reaped(pid: int | None) -> int | None:
    if pid is None:
        return None
    try:
        # not reaped yet, so the number is still its own
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        os.kill(pid, signal.SIGKILL)
        ends = time.monotonic() + _REAP_SECONDS
        while time.monotonic() < ends:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return status
            time.sleep(0.002)
    except OSError:
        pass
    return None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
