"""Worker processes: made quickly, kept warm between jobs, by where they are and what they have loaded."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from scoring.compute.process import WorkerProcess, worker_environment
from scoring.compute.zygote import CAN_FORK, Import, Zygote

_log = logging.getLogger(__name__)
T = TypeVar("T")

_SWEEP_SECONDS = 1.0
_START_LIMIT = 30.0
_MOST_CULPRITS = 3
_FORK_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a worker is made of. A process may be used again for another job of the same `key`.

    python     the interpreter's path
    imports    what a zygote imports beforehand
    variables  the deployment's environment variables
    """

    key: str
    python: str
    imports: Sequence[Import] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class _Parent:
    """A recipe's zygote. `clusters` are those that used it: it stays as long as one of them keeps idle processes.

    Where its imports go wrong it makes none; where even that fails, workers are started one by one.
    """

    zygote: Zygote | None = None
    culprits: set[str] = field(default_factory=set)
    imports: bool = True
    forks: bool = CAN_FORK
    clusters: set[str] = field(default_factory=set)
    used_at: float = 0.0


class WorkerPool:
    """Makes worker processes, keeps idle ones until told otherwise, ends all of them with itself. For many threads.

    A place is where a process lives, `<cluster>/<instance>`: what is idle there is given out there alone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: Callable[[str], float] = lambda cluster: 0.0,
        on_sweep: Callable[[], None] = lambda: None,
    ) -> None:
        """`folder` takes what workers print outside of any job. `on_sweep` is called about once a second.

        keep  for how many seconds after its last use a cluster keeps what was made ready for it
        """
        self._folder = folder
        self._keep = keep
        self._on_sweep = on_sweep
        self._lock = threading.RLock()
        self._idle: dict[tuple[str, str], list[WorkerProcess]] = {}
        self._parents: dict[str, _Parent] = {}
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, place: str, recipe: Recipe) -> WorkerProcess:
        """A warm process, or a new one, which may not have spoken yet. Raises OSError where none can be made."""
        with self._lock:
            kept = self._idle.get((place, recipe.key), [])
            while kept:
                worker = kept.pop()
                if worker.is_alive:
                    return worker
                worker.kill()
            for _ in range(_FORK_TRIES):
                zygote = self._zygote(recipe, place.split("/")[0])
                if zygote is None:
                    break
                try:
                    return zygote.fork()
                except OSError:
                    # a script may have killed it: its next parent must not be the service, so make another
                    self._end_zygote(self._parents[recipe.key])
            self._parents[recipe.key].forks = False
        environment = worker_environment(os.environ)
        return self._asked(lambda: WorkerProcess.start(recipe.python, environment=environment, output=self._output()))

    def warm_up(self, recipe: Recipe, cluster: str) -> None:
        """Have the recipe's imports made, so that its first worker is there at once. Raises OSError."""
        with self._lock:
            self._zygote(recipe, cluster)

    def never_spoke(self, recipe: Recipe, worker: WorkerProcess) -> bool:
        """A forked worker ended, or hung, before it said hello: what can be done about it, for the next one.

        Returns whether it was the zygote's fault, so not the script's.
        """
        with self._lock:
            parent = self._parents.get(recipe.key)
            if parent is None or worker.parent is None:
                return False
            if parent.zygote is None or parent.zygote is not worker.parent:
                return True  # another worker's end was the first to tell
            imported = parent.zygote.look()
            culprit = None if imported is None else imported.culprit
            if imported is not None and culprit is not None and len(parent.culprits) < _MOST_CULPRITS:
                _log.info("%s is imported by each worker itself: %s", culprit, imported.why)
                parent.culprits.add(culprit)
            elif imported is not None and culprit is None and not parent.zygote.is_alive:
                _log.info("the parent of workers of %s was killed from outside", recipe.python)
            elif parent.imports and recipe.imports:
                _log.warning("each worker of %s makes its own imports: those of its parent failed", recipe.python)
                parent.imports = False
            else:
                return False
            self._end_zygote(parent)
            return True

    def give_back(self, place: str, recipe: Recipe, worker: WorkerProcess) -> None:
        """Keep an idle process warm, until `drop`."""
        with self._lock:
            parent = self._parents.get(recipe.key)
            if parent is not None:
                parent.used_at = time.monotonic()
            if not self._closed:
                self._idle.setdefault((place, recipe.key), []).append(worker)
                return
        worker.kill()

    def drop(self, place: str) -> None:
        """End the idle processes of a place."""
        with self._lock:
            keys = [key for key in self._idle if key[0] == place]
            workers = [worker for key in keys for worker in self._idle.pop(key)]
        for worker in workers:
            worker.kill()

    def idle_pids(self, place: str) -> list[int]:
        with self._lock:
            return [w.pid for (where, _), kept in self._idle.items() if where == place for w in kept]

    @property
    def idle(self) -> int:
        """How many processes are warm and unused."""
        with self._lock:
            return sum(len(workers) for workers in self._idle.values())

    @property
    def zygote_pids(self) -> list[int]:
        with self._lock:
            return [parent.zygote.pid for parent in self._parents.values() if parent.zygote is not None]

    def close(self) -> None:
        """End every idle process; processes in use end when they are given back, or with their zygote."""
        with self._lock:
            self._closed = True
            self._ended.set()
            workers = [worker for kept in self._idle.values() for worker in kept]
            self._idle.clear()
            zygotes = [parent.zygote for parent in self._parents.values() if parent.zygote is not None]
            self._parents.clear()
            thread = self._thread
        for worker in workers:
            worker.kill()
        for zygote in zygotes:
            zygote.kill()
        if thread is not None:
            self._requests.put(None)
            thread.join(_START_LIMIT)

    def _zygote(self, recipe: Recipe, cluster: str) -> Zygote | None:
        parent = self._parents.setdefault(recipe.key, _Parent())
        parent.clusters.add(cluster)
        parent.used_at = time.monotonic()
        if not parent.forks:
            return None
        if parent.zygote is not None and not parent.zygote.is_alive:
            self._end_zygote(parent)
        if parent.zygote is None:
            wanted = recipe.imports if parent.imports else ()
            imports = [one for one in wanted if one.module not in parent.culprits]
            parent.zygote = self._asked(
                lambda: Zygote(
                    recipe.python,
                    imports=imports,
                    variables=recipe.variables,
                    environment=worker_environment(os.environ),
                    output=self._output(),
                )
            )
        return parent.zygote

    def _end_zygote(self, parent: _Parent) -> None:
        if parent.zygote is not None:
            parent.zygote.kill()
            parent.zygote = None

    def _output(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / "workers.txt"

    def _asked(self, make: Callable[[], T]) -> T:
        """What `make` makes in the pool's own thread: workers die with the thread that starts them."""
        answer: Future[T] = Future()

        def request() -> None:
            try:
                answer.set_result(make())
            except BaseException as error:
                answer.set_exception(error)

        with self._lock:
            if self._closed:
                raise OSError("the pool of worker processes is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="worker-pool", daemon=True)
                self._thread.start()
                # not the same thread: a sweep waits for the lock, whose holder may wait for a process to be made
                threading.Thread(target=self._sweep_always, name="worker-sweep", daemon=True).start()
        self._requests.put(request)
        return answer.result(_START_LIMIT)

    def _serve(self) -> None:
        while True:
            request = self._requests.get()
            if request is None:
                return
            request()

    def _sweep_always(self) -> None:
        while not self._ended.wait(_SWEEP_SECONDS):
            try:
                self._on_sweep()
                self._end_unused_zygotes()
            except Exception:
                _log.exception("the sweep of idle worker processes failed")

    def _end_unused_zygotes(self) -> None:
        now = time.monotonic()
        ended = []
        with self._lock:
            for parent in self._parents.values():
                zygote = parent.zygote
                if zygote is None or zygote.living:
                    continue
                if now - parent.used_at > max(map(self._keep, parent.clusters), default=0.0):
                    ended.append(zygote)
                    parent.zygote = None
                    parent.clusters.clear()
        for zygote in ended:
            zygote.kill()
