"""Worker processes that are kept warm between jobs, by what they have loaded."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from scoring.compute.process import WorkerProcess, worker_environment

_SWEEP_SECONDS = 1.0
_START_LIMIT = 30.0


@dataclass(frozen=True, kw_only=True)
class _Idle:
    worker: WorkerProcess
    until: float


class WorkerPool:
    """Starts worker processes, keeps idle ones for a while, ends all of them with itself. Safe for many threads.

    A key names what a process may be used for again: the same interpreter, code and variables.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` takes what workers print outside of any job."""
        self._folder = folder
        self._lock = threading.Lock()
        self._idle: dict[str, list[_Idle]] = {}
        self._requests: queue.SimpleQueue[tuple[Callable[[], WorkerProcess], Future[WorkerProcess]] | None]
        self._requests = queue.SimpleQueue()
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, key: str, python: str) -> WorkerProcess:
        """A warm process of that key, or a new one. Raises OSError where none can be started."""
        with self._lock:
            while self._idle.get(key):
                worker = self._idle[key].pop().worker
                if worker.is_alive:
                    return worker
                worker.kill()
        return self._start(python)

    def give_back(self, key: str, worker: WorkerProcess, *, keep: float) -> None:
        """Keep an idle process warm for `keep` seconds; with 0 it ends now."""
        with self._lock:
            if keep > 0 and not self._closed:
                self._idle.setdefault(key, []).append(_Idle(worker=worker, until=time.monotonic() + keep))
                return
        worker.kill()

    @property
    def idle(self) -> int:
        """How many processes are warm and unused."""
        with self._lock:
            return sum(len(workers) for workers in self._idle.values())

    def close(self) -> None:
        """End every idle process; processes in use end when they are given back."""
        with self._lock:
            self._closed = True
            workers = [idle.worker for kept in self._idle.values() for idle in kept]
            self._idle.clear()
            thread = self._thread
        for worker in workers:
            worker.kill()
        if thread is not None:
            self._requests.put(None)
            thread.join(_START_LIMIT)

    def _start(self, python: str) -> WorkerProcess:
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = worker_environment(os.environ)
        output = self._folder / "workers.txt"
        answer: Future[WorkerProcess] = Future()
        with self._lock:
            if self._closed:
                raise OSError("the pool of worker processes is closed")
            if self._thread is None:
                # workers die with the thread that starts them, so it must not be one that runs a single job
                self._thread = threading.Thread(target=self._serve, name="worker-pool", daemon=True)
                self._thread.start()
        self._requests.put((lambda: WorkerProcess(python, environment=environment, output=output), answer))
        return answer.result(_START_LIMIT)

    def _serve(self) -> None:
        while True:
            try:
                request = self._requests.get(timeout=_SWEEP_SECONDS)
            except queue.Empty:
                self._sweep()
                continue
            if request is None:
                return
            make, answer = request
            try:
                answer.set_result(make())
            except BaseException as error:
                answer.set_exception(error)

    def _sweep(self) -> None:
        now = time.monotonic()
        ended = []
        with self._lock:
            for key, kept in list(self._idle.items()):
                stay = [idle for idle in kept if idle.until > now and idle.worker.is_alive]
                ended += [idle.worker for idle in kept if idle not in stay]
                if stay:
                    self._idle[key] = stay
                else:
                    del self._idle[key]
        for worker in ended:
            worker.kill()
