"""What a job costs: the time that worker processes are the job's, and the processor time that they use."""

from __future__ import annotations

import time
from dataclasses import dataclass

from scoring.compute.fleet import Instance
from scoring.compute.process import WorkerProcess
from scoring.compute.processor_time import core_seconds
from scoring.job import JobUsage


@dataclass(kw_only=True)
class _Held:
    instance: Instance
    worker: WorkerProcess
    seen_at: float
    cores: float | None


class Meter:
    """Counts for a job and for the instances that it has. What a process uses after its last look is lost with it.

    Imports that a zygote made are paid by the job that first needs them.
    """

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._worker_seconds = 0.0
        self._core_seconds: float | None = None
        self._instances = 0
        self._processes = 0

    def begin(self, worker: WorkerProcess, instance: Instance) -> None:
        """From here on the process is the job's; what it used before was another's."""
        used = core_seconds(worker.pid) if worker.pid else 0.0
        self._held[id(worker)] = _Held(instance=instance, worker=worker, seen_at=time.monotonic(), cores=used)
        self._processes = max(self._processes, len(self._held))
        self._instances = max(self._instances, len({held.instance.name for held in self._held.values()}))
        self._tell(instance)

    def met(self, worker: WorkerProcess) -> None:
        """The process has said which one it is: a forked one has no number before."""
        held = self._held.get(id(worker))
        if held is not None:
            self._tell(held.instance)

    def end(self, worker: WorkerProcess) -> None:
        """Call it before the process is killed: what it has used is forgotten with it."""
        held = self._held.get(id(worker))
        if held is not None:
            self._look(held)
            del self._held[id(worker)]
            self._tell(held.instance)

    def usage(self) -> JobUsage:
        for held in self._held.values():
            self._look(held)
        for instance in {held.instance.name: held.instance for held in self._held.values()}.values():
            self._tell(instance)
        return JobUsage(
            worker_seconds=round(self._worker_seconds, 3),
            core_seconds=None if self._core_seconds is None else round(self._core_seconds, 3),
            instances=self._instances,
            processes=self._processes,
        )

    def _look(self, held: _Held) -> None:
        now = time.monotonic()
        self._worker_seconds += now - held.seen_at
        held.instance.worker_seconds += now - held.seen_at
        held.seen_at = now
        used = core_seconds(held.worker.pid) if held.worker.pid else None
        if used is None:
            return
        more = max(0.0, used - (held.cores or 0.0))
        if held.worker.parent is not None:
            more += held.worker.parent.unpaid_seconds()
        self._core_seconds = (self._core_seconds or 0.0) + more
        held.instance.core_seconds += more
        held.cores = used

    def _tell(self, instance: Instance) -> None:
        instance.pids = [held.worker.pid for held in self._held.values() if held.instance is instance]
