"""The instances of the compute clusters: given to jobs, kept warm, scaled down, taken away."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from scoring.compute.cluster import Compute
from scoring.errors import Conflict, NoInstance, NotFound

_WAITING_SECONDS = 3.0


class NodeState(StrEnum):
    """Azure's words, as far as there is something to say: `leaving` was taken away and lets its job go."""

    IDLE = "idle"
    RUNNING = "running"
    LEAVING = "leaving"


@dataclass(frozen=True, kw_only=True)
class Node:
    """An instance as it is now, as `compute list-nodes` shows it.

    pids          its worker processes, idle ones included
    memory_bytes  resident memory of these, pages that they share counted for each; None where it is not known
    core_seconds  processor time that its workers have used since it started
    worker_seconds  time that worker processes were in use by jobs
    jobs          how many jobs it has worked for
    """

    name: str
    compute: str
    state: NodeState
    job: str | None
    pids: Sequence[int]
    memory_bytes: int | None
    core_seconds: float
    worker_seconds: float
    jobs: int
    started_at: datetime
    idle_since: datetime | None


@dataclass(frozen=True, kw_only=True)
class ClusterUsage:
    """What a cluster's instances have used since the service began, those that are gone included."""

    worker_seconds: float = 0.0
    core_seconds: float = 0.0


@dataclass(kw_only=True)
class Instance:
    """A group of worker processes. A job that has it reads `is_leaving`, and writes `pids` and what it has cost."""

    name: str
    compute: str
    job: str | None = None
    is_leaving: bool = False
    pids: Sequence[int] = ()
    core_seconds: float = 0.0
    worker_seconds: float = 0.0
    jobs: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    idle_at: float = 0.0
    idle_since: datetime | None = None

    @property
    def place(self) -> str:
        return f"{self.compute}/{self.name}"


class Fleet:
    """Every cluster's instances. An instance works for one job at a time; safe for many threads."""

    def __init__(
        self,
        *,
        drop: Callable[[str], None],
        idle_pids: Callable[[str], Sequence[int]] = lambda place: (),
        memory_of: Callable[[int], int | None] = lambda pid: None,
        most_waiting: float = math.inf,
        on_free: Callable[[], None] = lambda: None,
    ) -> None:
        """
        drop          ends the idle processes of a place; `idle_pids` names them
        most_waiting  jobs without any instance that may wait here for one; the others wait in the queue
        on_free       told whenever a job lets go of an instance
        """
        self._drop = drop
        self._idle_pids = idle_pids
        self._memory_of = memory_of
        self._lock = threading.Lock()
        self._clusters: dict[str, Compute] = {}
        self._instances: dict[str, list[Instance]] = {}
        self._gone: dict[str, ClusterUsage] = {}
        self._most_waiting = most_waiting
        self._on_free = on_free
        self._waiting: dict[str, dict[str, float]] = {}
        # clusters of which jobs wait in the queue, and when they were last seen to be full
        self._queued: dict[str, float] = {}

    def configure(self, cluster: Compute) -> None:
        """The cluster is there now, or has these settings now. `min_instances` start at once."""
        with self._lock:
            self._clusters[cluster.name] = cluster
            own = self._instances.setdefault(cluster.name, [])
            while len(own) < cluster.min_instances:
                self._started(cluster)
        self.sweep()

    def remove(self, name: str) -> None:
        """The cluster is deleted: its idle instances end now, the others when their job lets go of them."""
        with self._lock:
            self._clusters.pop(name, None)
        self.sweep()

    def acquire(self, cluster: Compute, job: str, count: int) -> Sequence[Instance]:
        """Up to `count` instances for the job, warm ones first; none where all are busy and no more may start.

        Jobs that have none yet and ask again are served in the order in which they first asked, and before a job that
        wants more. Raises NoInstance for a job without any where too many wait already.
        """
        with self._lock:
            self._clusters[cluster.name] = cluster
            own = self._instances.setdefault(cluster.name, [])
            free = sorted(_free(own), key=lambda instance: -instance.idle_at)
            room = self._room(cluster.name)
            allowed = min(count, room - self._ahead_of(cluster.name, job, room))
            found = free[: max(0, allowed)]
            while len(found) < allowed:
                found.append(self._started(cluster))
            if found:
                self._waiting[cluster.name].pop(job, None)
            elif not any(instance.job == job for instance in own):
                self._refuse_one_too_many(cluster.name, job)
            for instance in found:
                instance.job, instance.idle_since = job, None
                instance.jobs += 1
            return found

    def crowded(self) -> Sequence[str]:
        """Clusters on which a job without any instance waits for one, here or in the queue: another would, too."""
        with self._lock:
            waited_for = [name for name in self._waiting if self._waiting_on(name)]
            full = [name for name in self._queued if not self._room(name)]
            return sorted({*waited_for, *full})

    def release(self, instance: Instance) -> None:
        """The job has let go of it. One that was taken away is gone now; another stays warm for the idle time."""
        with self._lock:
            instance.job, instance.pids = None, ()
            instance.idle_at, instance.idle_since = time.monotonic(), datetime.now(UTC)
        self.sweep()
        self._on_free()

    def preempt(self, name: str, node: str | None = None) -> Sequence[str]:
        """Take instances of a low-priority cluster away, as its provider may at any time: one of them, or all.

        Their jobs go on where they were. Returns their names. Raises Conflict for a dedicated cluster, NotFound.
        """
        with self._lock:
            cluster = self._clusters.get(name)
            if cluster is not None and cluster.tier != "low_priority":
                raise Conflict(f"compute {name} is {cluster.tier}; only instances of tier low_priority are taken away")
            own = self._instances.get(name, [])
            chosen = [i for i in own if node in {None, i.name}]
            if node is not None and not chosen:
                there = ", ".join(i.name for i in own) or "none"
                raise NotFound(f"compute {name} has no node {node}; there are: {there}")
            for instance in chosen:
                instance.is_leaving = True
        self.sweep()
        return [instance.name for instance in chosen]

    def nodes(self, name: str) -> Sequence[Node]:
        with self._lock:
            own = [replace(instance) for instance in self._instances.get(name, [])]
        return [self._shown(instance) for instance in own]

    def usage(self, name: str) -> ClusterUsage:
        with self._lock:
            gone, own = self._gone.get(name, ClusterUsage()), self._instances.get(name, [])
            return ClusterUsage(
                worker_seconds=gone.worker_seconds + sum(instance.worker_seconds for instance in own),
                core_seconds=gone.core_seconds + sum(instance.core_seconds for instance in own),
            )

    def keep(self, name: str) -> float:
        """For how many seconds something is kept warm there that is not in use."""
        with self._lock:
            cluster = self._clusters.get(name)
        if cluster is None:
            return 0.0
        return math.inf if cluster.min_instances else cluster.idle_time_before_scale_down

    def sweep(self) -> None:
        """Scale down: end what has been idle for long enough, and what was taken away and is free."""
        now = time.monotonic()
        gone: list[Instance] = []
        with self._lock:
            for name, own in self._instances.items():
                cluster = self._clusters.get(name)
                gone += _to_end(own, cluster, now)
                own[:] = [instance for instance in own if instance not in gone]
                while cluster is not None and len(own) < cluster.min_instances:
                    self._started(cluster)
            for instance in gone:
                before = self._gone.get(instance.compute, ClusterUsage())
                self._gone[instance.compute] = ClusterUsage(
                    worker_seconds=before.worker_seconds + instance.worker_seconds,
                    core_seconds=before.core_seconds + instance.core_seconds,
                )
        for instance in gone:
            self._drop(instance.place)

    def _ahead_of(self, cluster: str, job: str, room: int) -> int:
        """How many jobs without any instance wait for longer; this one is put on the list where it has none."""
        now = time.monotonic()
        waiting = self._waiting.setdefault(cluster, {})
        for other in waiting.keys() - self._waiting_on(cluster):
            del waiting[other]  # it was canceled, or its runner is gone
        if room <= 0 and cluster in self._queued:
            self._queued[cluster] = now
        if not any(instance.job == job for instance in self._instances[cluster]):
            waiting[job] = now
            return list(waiting).index(job)
        return len(waiting) + self._is_kept_for_the_queue(cluster)

    def _waiting_on(self, cluster: str) -> set[str]:
        """Jobs that asked of late."""
        now = time.monotonic()
        return {job for job, asked_at in self._waiting[cluster].items() if now - asked_at <= _WAITING_SECONDS}

    def _refuse_one_too_many(self, cluster: str, job: str) -> None:
        if sum(len(self._waiting_on(name)) for name in self._waiting) > self._most_waiting:
            del self._waiting[cluster][job]
            self._queued[cluster] = time.monotonic()
            raise NoInstance(waits_for(cluster))

    def _is_kept_for_the_queue(self, cluster: str) -> bool:
        """Whether one instance is left free for a job of the queue, for as long as it takes a runner to come by."""
        full_at = self._queued.get(cluster)
        if full_at is not None and time.monotonic() - full_at > _WAITING_SECONDS:
            del self._queued[cluster]
            return False
        return full_at is not None

    def _room(self, name: str) -> int:
        """Instances that are free or may start; a cluster that is gone says so to whoever asks for one."""
        cluster, own = self._clusters.get(name), self._instances[name]
        if cluster is None:
            return 1
        return len(_free(own)) + max(0, cluster.max_instances - len(own))

    def _started(self, cluster: Compute) -> Instance:
        own = self._instances[cluster.name]
        taken = {instance.name for instance in own}
        name = next(f"node{n}" for n in range(len(own) + 1) if f"node{n}" not in taken)
        instance = Instance(name=name, compute=cluster.name, idle_at=time.monotonic(), idle_since=datetime.now(UTC))
        own.append(instance)
        return instance

    def _shown(self, instance: Instance) -> Node:
        state = NodeState.RUNNING if instance.job else NodeState.IDLE
        pids = sorted({pid for pid in (*instance.pids, *self._idle_pids(instance.place)) if pid})
        memory = [self._memory_of(pid) for pid in pids]
        return Node(
            name=instance.name,
            compute=instance.compute,
            state=NodeState.LEAVING if instance.is_leaving else state,
            job=instance.job,
            pids=pids,
            memory_bytes=None if None in memory else sum(m for m in memory if m is not None),
            core_seconds=instance.core_seconds,
            worker_seconds=instance.worker_seconds,
            jobs=instance.jobs,
            started_at=instance.started_at,
            idle_since=instance.idle_since,
        )


def _free(own: Sequence[Instance]) -> Sequence[Instance]:
    return [instance for instance in own if instance.job is None and not instance.is_leaving]


def waits_for(cluster: str) -> str:
    """In words, of a job without any instance."""
    return f"waits for an instance of compute {cluster}: all of them work for other jobs"


def _to_end(own: Sequence[Instance], cluster: Compute | None, now: float) -> Sequence[Instance]:
    """Which instances end now; the longest idle ones go first."""
    idle = [instance for instance in own if instance.job is None]
    if cluster is None:
        return idle
    leaving = [instance for instance in idle if instance.is_leaving]
    stay = [instance for instance in own if not instance.is_leaving]
    late = [
        instance
        for instance in sorted(idle, key=lambda i: i.idle_at)
        if not instance.is_leaving and now - instance.idle_at >= cluster.idle_time_before_scale_down
    ]
    return [*leaving, *late[: max(0, len(stay) - cluster.min_instances)]]
