"""What the engines need from outside. Six methods a port at most; each has one contract suite in tests/contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from scoring.components.jobs import PipelineDeployment
from scoring.components.registered import RegisteredComponent
from scoring.compute.cluster import Compute
from scoring.compute.news import ComputeNews, no_news
from scoring.data_asset import DataAsset
from scoring.datastore import Datastore
from scoring.deployment import Deployment
from scoring.endpoint import Endpoint
from scoring.environment import Environment
from scoring.job import Job, JobInput, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchResult
from scoring.model import Model
from scoring.reopening import Decision
from scoring.schedule import Schedule

Asset = Model | DataAsset | Environment | RegisteredComponent
AnyDeployment = Deployment | PipelineDeployment
A = TypeVar("A", Model, DataAsset, Environment, RegisteredComponent)


class JobStore(Protocol):
    """Jobs and their mini-batches, under leases.

    Every write carries the job's lease_epoch and raises LeaseLost when it is old.
    """

    def add(self, job: Job, *, idempotency_key: str | None = None) -> Job:
        """Store a queued job; the same key, or the same (schedule, fire_time), returns the job made before."""
        ...

    def get(self, name: str) -> Job:
        """The job as stored. Raises NotFound."""
        ...

    def claim(self, owner: str, lease: timedelta, *, avoid: Collection[str] = ()) -> Job | None:
        """The oldest job neither ended nor leased, now leased to `owner` with a higher lease_epoch; or None.

        Never a pipeline, whose steps are jobs, nor a step that waits for others; none on the clusters to `avoid`,
        unless it is to be canceled.
        """
        ...

    def save(self, job: Job, *, manifest: Manifest | None = None, renew: timedelta | None = None) -> Job:
        """Write status, reason, progress, frozen input; with `manifest` also the mini-batches, in one transaction.

        Returns what is stored, so a cancel that was asked for meanwhile is seen: it is never overwritten.
        """
        ...

    def record(self, job: Job, results: Sequence[MiniBatchResult]) -> Job:
        """Ends of mini-batches. One that has ended already is left as it is. Returns the stored job, as `save`."""
        ...

    def manifest(self, job: Job) -> tuple[Manifest | None, Sequence[MiniBatchResult]]:
        """The stored manifest and the results so far; (None, []) before planning."""
        ...


class JobKeeper(Protocol):
    """What is done with stored jobs from outside of any lease."""

    def annotate(self, job: Job) -> Job:
        """Write what is the user's: display_name, description, tags, properties, archived. Raises NotFound."""
        ...

    def reopen(self, name: str, decide: Decision) -> Job:
        """Take an ended job up again as `decide` says, in one transaction. Raises NotFound, and as `decide`."""
        ...

    def release(self, is_gone: Callable[[str], bool]) -> Sequence[str]:
        """End the leases of owners that are gone for certain, at once; the names of their jobs."""
        ...


class Catalog(Protocol):
    """Named things that jobs are made of. `put` creates or replaces; a read raises NotFound naming what exists."""

    def put(self, item: Compute | Endpoint | AnyDeployment | Model) -> None: ...

    def compute(self, name: str) -> Compute: ...

    def endpoint(self, name: str) -> Endpoint: ...

    def deployment(self, endpoint_name: str, name: str) -> AnyDeployment: ...

    def model(self, name: str, version: str | None = None) -> Model:
        """`version` None is the latest by creation time."""
        ...

    def delete(self, item: Compute | Endpoint | AnyDeployment | Model) -> None:
        """Deleting an absent thing is no error. Jobs are kept."""
        ...


class AssetStore(Protocol):
    """Versions of models, data, environments and components; datastores by name. Reads raise NotFound as Catalog's."""

    def put(self, item: Asset | Datastore) -> None:
        """Store a version, or change what is said about it. Raises Conflict where it has other content: it never gets
        another."""
        ...

    def get(self, kind: type[A], name: str, version: str | None = None) -> A:
        """`version` None is the latest by creation time that is not archived."""
        ...

    def versions(self, kind: type[A], name: str | None = None) -> Sequence[A]:
        """By name; the versions of one, newest first. Archived and anonymous ones among them."""
        ...

    def datastore(self, name: str) -> Datastore: ...

    def datastores(self) -> Sequence[Datastore]:
        """By name."""
        ...

    def delete(self, item: Asset | Datastore) -> None:
        """Deleting an absent thing is no error."""
        ...


class ScheduleStore(Protocol):
    def save(self, schedule: Schedule) -> None: ...

    def get(self, name: str) -> Schedule: ...

    def due(self, now: datetime) -> Sequence[Schedule]:
        """Enabled schedules whose next_fire is not after `now`."""
        ...

    def delete(self, name: str) -> None: ...


class InputReader(Protocol):
    """Lists what a job will read, frozen: the same input with the same to_version lists the same items for ever."""

    def resolve(self, job_input: JobInput) -> JobInput:
        """The input with its open ends frozen (to_version). Raises InvalidInput for what cannot be read."""
        ...

    def items(self, job_input: JobInput) -> Sequence[InputItem]:
        """Items of a resolved input, in a stable order."""
        ...

    def snapshot(self, job_input: JobInput, folder: Path) -> Path | None:
        """Write what is joined (static tables) below `folder`, for all mini-batches alike; None where nothing is."""
        ...


class OutputSink(Protocol):
    """Where the rows of a finished job go: all at once, exactly once."""

    def check(self, job: Job) -> None:
        """Raises Conflict early when the output cannot be written, e.g. the file exists already."""
        ...

    def commit(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> int:
        """Write every result row; called again after a crash it changes nothing. Returns rows written."""
        ...


class JobFinisher(Protocol):
    """The one transaction that ends a successful job: its rows in Postgres, its status, its schedule's last_version."""

    def finish(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> Job: ...


class ComputeBackend(Protocol):
    """Scores mini-batches on worker processes and reports the end of each."""

    def run(
        self,
        job: Job,
        mini_batches: Sequence[MiniBatch],
        *,
        manifest: Manifest,
        model_path: str,
        job_folder: Path,
        on_result: Callable[[MiniBatchResult], None],
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None] = no_news,
    ) -> None:
        """Returns when every mini-batch has ended or `should_stop` gave a reason.

        All three are called in the thread of this call. The last news before it returns or raises has the usage.
        Raises JobFailed for what ends the job.
        """
        ...

    def close(self) -> None:
        """End every worker process."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC-aware wall-clock time."""
        ...


TERMINAL: Collection[JobStatus] = frozenset(s for s in JobStatus if s.is_terminal)
