"""The ports of `scoring` in memory: for tests of the engines, held to the same contract suites as the real stores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from scoring.collect import output_paths
from scoring.components.jobs import PipelineDeployment
from scoring.compute.cluster import Compute
from scoring.deployment import Deployment
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, InvalidInput, LeaseLost, NotFound
from scoring.job import Job, JobInput, JobKind, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatchOutcome, MiniBatchResult
from scoring.model import Model
from scoring.reopening import Decision
from scoring.schedule import Schedule

T = TypeVar("T")


class SettableClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        self._now += by
        return self._now


class MemoryJobStore:
    """JobStore and JobKeeper."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._manifests: dict[str, Manifest] = {}
        self._results: dict[str, dict[int, MiniBatchResult]] = {}
        self._keys: dict[str, str] = {}

    def add(self, job: Job, *, idempotency_key: str | None = None) -> Job:
        with self._lock:
            if idempotency_key is not None and idempotency_key in self._keys:
                return self._jobs[self._keys[idempotency_key]]
            for other in self._jobs.values():
                if job.schedule_name is not None and (other.schedule_name, other.fire_time) == (
                    job.schedule_name,
                    job.fire_time,
                ):
                    return other
            if job.name in self._jobs:
                raise Conflict(f"job {job.name} exists already")
            self._jobs[job.name] = replace(job, created_at=job.created_at or self._now())
            if idempotency_key is not None:
                self._keys[idempotency_key] = job.name
            return self._jobs[job.name]

    def get(self, name: str) -> Job:
        with self._lock:
            if name not in self._jobs:
                raise NotFound(f"job {name} does not exist")
            return self._jobs[name]

    def claim(self, owner: str, lease: timedelta, *, avoid: Collection[str] = ()) -> Job | None:
        with self._lock:
            now = self._now()
            free = [
                job
                for job in self._jobs.values()
                if not (job.status.is_terminal or job.status is JobStatus.NOT_STARTED or job.kind is JobKind.PIPELINE)
                and (job.lease_until is None or job.lease_until <= now)
                and (job.deployment.compute not in avoid or job.status is JobStatus.CANCEL_REQUESTED)
            ]
            if not free:
                return None
            job = min(free, key=lambda job: job.created_at or now)
            claimed = replace(job, lease_owner=owner, lease_until=now + lease, lease_epoch=job.lease_epoch + 1)
            self._jobs[job.name] = claimed
            return claimed

    def save(self, job: Job, *, manifest: Manifest | None = None, renew: timedelta | None = None) -> Job:
        with self._lock:
            stored = self._fenced(job)
            if stored.status.is_terminal:
                return stored
            if job.status is not stored.status and not stored.may_move(job.status):
                # such as a cancel that was asked for meanwhile
                job = replace(job, status=stored.status, status_reason=stored.status_reason)
            saved = replace(job, lease_owner=stored.lease_owner, lease_until=stored.lease_until)
            saved = _annotated(saved, stored)
            if renew is not None:
                saved = replace(saved, lease_until=self._now() + renew)
            if saved.status.is_terminal:
                saved = replace(saved, lease_owner=None, lease_until=None)
            self._jobs[job.name] = saved
            if manifest is not None:
                self._manifests[job.name] = manifest
                self._results[job.name] = {}
            return saved

    def record(self, job: Job, results: Sequence[MiniBatchResult]) -> Job:
        with self._lock:
            stored = self._fenced(job)
            if stored.status.is_terminal:
                return stored
            for result in results:
                self._results[job.name].setdefault(result.index, result)
            return stored

    def manifest(self, job: Job) -> tuple[Manifest | None, Sequence[MiniBatchResult]]:
        with self._lock:
            manifest = self._manifests.get(job.name)
            return manifest, list(self._results.get(job.name, {}).values())

    def annotate(self, job: Job) -> Job:
        with self._lock:
            self._jobs[job.name] = _annotated(self.get(job.name), job)
            return self._jobs[job.name]

    def reopen(self, name: str, decide: Decision) -> Job:
        with self._lock:
            job = self.get(name)
            again = decide(job, *self.manifest(job))
            if again.job is None:
                return job
            for index in again.forgotten:
                del self._results[name][index]
            self._jobs[name] = again.job
            return again.job

    def release(self, is_gone: Callable[[str], bool]) -> Sequence[str]:
        with self._lock:
            now = self._now()
            released: list[str] = []
            for job in list(self._jobs.values()):
                if job.lease_until is not None and job.lease_until > now and is_gone(str(job.lease_owner)):
                    self._jobs[job.name] = replace(job, lease_until=now)
                    released.append(job.name)
            return released

    def _fenced(self, job: Job) -> Job:
        stored = self.get(job.name)
        if job.lease_epoch != stored.lease_epoch:
            raise LeaseLost(f"job {job.name} belongs to {stored.lease_owner} now")
        return stored


def _annotated(job: Job, by: Job) -> Job:
    return replace(
        job,
        display_name=by.display_name,
        description=by.description,
        tags=by.tags,
        properties=by.properties,
        archived=by.archived,
    )


class MemoryCatalog:
    """Catalog."""

    def __init__(self) -> None:
        self._computes: dict[str, Compute] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._deployments: dict[str, Deployment] = {}
        self._models: dict[str, Model] = {}

    def put(self, item: Compute | Endpoint | Deployment | Model) -> None:
        shelf, key = self._place(item)
        shelf[key] = item

    def compute(self, name: str) -> Compute:
        return _found("compute", self._computes, name)

    def endpoint(self, name: str) -> Endpoint:
        return _found("endpoint", self._endpoints, name)

    def deployment(self, endpoint_name: str, name: str) -> Deployment:
        return _found("deployment", self._deployments, f"{endpoint_name}/{name}")

    def model(self, name: str, version: str | None = None) -> Model:
        if version is not None:
            return _found("model", self._models, f"{name}:{version}")
        versions = [model for model in self._models.values() if model.name == name and not model.is_archived]
        if not versions:
            return _found("model", self._models, name)
        oldest = datetime.min.replace(tzinfo=UTC)
        # of equal times the one that was put last
        return max(enumerate(versions), key=lambda pair: (pair[1].created_at or oldest, pair[0]))[1]

    def delete(self, item: Compute | Endpoint | Deployment | Model) -> None:
        shelf, key = self._place(item)
        shelf.pop(key, None)
        if isinstance(item, Endpoint):
            for name in [n for n, d in self._deployments.items() if d.endpoint_name == item.name]:
                del self._deployments[name]

    def _place(self, item: Compute | Endpoint | Deployment | Model) -> tuple[dict, str]:
        if isinstance(item, Compute):
            return self._computes, item.name
        if isinstance(item, Endpoint):
            return self._endpoints, item.name
        if isinstance(item, (Deployment, PipelineDeployment)):
            return self._deployments, f"{item.endpoint_name}/{item.name}"
        return self._models, f"{item.name}:{item.version}"


class MemoryScheduleStore:
    """ScheduleStore. Only `advance`, which stands for the finisher's transaction, moves a stored `last_version`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._schedules: dict[str, Schedule] = {}

    def save(self, schedule: Schedule) -> None:
        with self._lock:
            stored = self._schedules.get(schedule.name)
            if stored is not None:
                schedule = replace(schedule, last_version=stored.last_version)
            self._schedules[schedule.name] = schedule

    def get(self, name: str) -> Schedule:
        with self._lock:
            return _found("schedule", self._schedules, name)

    def due(self, now: datetime) -> Sequence[Schedule]:
        with self._lock:
            return [
                schedule
                for schedule in self._schedules.values()
                if schedule.is_enabled and schedule.next_fire is not None and schedule.next_fire <= now
            ]

    def delete(self, name: str) -> None:
        with self._lock:
            self._schedules.pop(name, None)

    def advance(self, name: str, version: int | None) -> None:
        with self._lock:
            if name in self._schedules and version is not None:
                self._schedules[name] = replace(self._schedules[name], last_version=version)


class MemoryTable:
    """A table's log: each version adds part files. `version` None: the table does not exist."""

    def __init__(self) -> None:
        self.files: list[tuple[int, InputItem]] = []
        self.version: int | None = None

    def append(self, *items: InputItem) -> int:
        self.version = 0 if self.version is None else self.version + 1
        self.files += [(self.version, item) for item in items]
        return self.version


class MemoryInputReader:
    """InputReader over named lists of files and tables."""

    def __init__(self, folders: Mapping[str, Sequence[InputItem]] = {}, tables: Mapping[str, MemoryTable] = {}) -> None:
        self.folders = dict(folders)
        self.tables = dict(tables)

    def resolve(self, job_input: JobInput) -> JobInput:
        if job_input.path in self.folders:
            return job_input
        table = self.tables.get(job_input.path)
        if table is None or table.version is None:
            raise InvalidInput(f"{job_input.path} does not exist", place="input.path")
        return job_input if job_input.to_version is not None else replace(job_input, to_version=table.version)

    def items(self, job_input: JobInput) -> Sequence[InputItem]:
        if job_input.path in self.folders:
            return list(self.folders[job_input.path])
        after = -1 if job_input.from_version is None else job_input.from_version
        assert job_input.to_version is not None
        return [i for version, i in self.tables[job_input.path].files if after < version <= job_input.to_version]

    def snapshot(self, job_input: JobInput, folder: Path) -> Path | None:
        if not job_input.join:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class MemorySink:
    """OutputSink: all rows of a job at once. Rows are the lines of the text files, where there are some."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.rows: dict[str, list[str]] = {}
        self._rounds: dict[str, int] = {}

    def check(self, job: Job) -> None:
        if job.deployment.output_file_name in self.taken:
            raise Conflict(f"{job.deployment.output_file_name} exists already")

    def commit(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> int:
        lines = [line for result in results for line in _lines(result)]
        if self._rounds.get(job.name, -1) < job.round:
            self.rows[job.name], self._rounds[job.name] = lines, job.round
        return len(self.rows[job.name])


class MemoryFinisher:
    """JobFinisher."""

    def __init__(self, jobs: MemoryJobStore, schedules: MemoryScheduleStore) -> None:
        self._jobs = jobs
        self._schedules = schedules

    def finish(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> Job:
        stored = self._jobs.get(job.name)
        if stored.status is JobStatus.COMPLETED:
            return stored
        done = self._jobs.save(job.moved(JobStatus.COMPLETED, reason=job.status_reason))
        if job.schedule_name is not None:
            self._schedules.advance(job.schedule_name, manifest.to_version)
        return done


def _lines(result: MiniBatchResult) -> list[str]:
    if result.outcome is MiniBatchOutcome.FAILED:
        return []
    return [line for path in output_paths(result) for line in path.read_text().splitlines()]


def _found(kind: str, shelf: Mapping[str, T], name: str) -> T:
    if name not in shelf:
        known = ", ".join(sorted(shelf)) or "none"
        raise NotFound(f"{kind} {name} does not exist; there are: {known}")
    return shelf[name]
