"""What the service is made of. `infra.wiring` joins the parts; tests give their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from infra.api.access import TokenStore
from scoring.compute.cluster import Compute
from scoring.compute.fleet import Fleet
from scoring.endpoint import Endpoint
from scoring.job import Job, JobInputType, JobStatus
from scoring.minibatch import MiniBatch, MiniBatchResult
from scoring.model import Model
from scoring.ports import (
    AnyDeployment,
    AssetStore,
    Catalog,
    Clock,
    InputReader,
    JobKeeper,
    JobStore,
    OutputSink,
    ScheduleStore,
)
from scoring.schedule import Schedule
from storage.component_registration import ComponentRegistration
from storage.datastores import Datastores
from storage.references import References
from storage.registration import Registration
from storage.registry import Registry


class ListedMiniBatch(Protocol):
    @property
    def mini_batch(self) -> MiniBatch: ...
    @property
    def result(self) -> MiniBatchResult | None: ...
    @property
    def ended_at(self) -> datetime | None: ...


class Listing(Protocol):
    """The lists: queries, not methods of the stores."""

    def jobs(
        self,
        *,
        endpoint_name: str | None = None,
        deployment_name: str | None = None,
        schedule_name: str | None = None,
        parent_name: str | None = None,
        statuses: Collection[JobStatus] = (),
        archived: bool | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Sequence[Job]: ...

    def mini_batches(self, job_name: str, *, limit: int = 1000, offset: int = 0) -> Sequence[ListedMiniBatch]: ...

    def computes(self) -> Sequence[Compute]: ...

    def models(self, name: str | None = None) -> Sequence[Model]: ...

    def endpoints(self) -> Sequence[Endpoint]: ...

    def deployments(self, endpoint_name: str) -> Sequence[AnyDeployment]: ...

    def schedules(self) -> Sequence[Schedule]: ...


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Work that goes on beside the requests, in a thread of its own: `run` returns soon after the event is set."""

    name: str
    run: Callable[[threading.Event], None]


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """Everything that the routers use.

    references      from what a document names (`azureml:…`, paths) to the model, data asset, environment or local path
    fetch           makes a local copy of an input of the web
    registration    gives content a name and a version
    jobs, keeper    what runners write of jobs, and what everybody else does
    inputs, sinks   checks at the time of the invocation, so that a wrong path is the caller's error, not the job's
    tokens          names and hashes of the access tokens
    jobs_folder     each job's folder lies in it, with its outputs
    stream          rows of GET /stream; what is away is said in words, never raised
    ping            raises TryAgain while the database is away
    fleet           the instances of the compute clusters in this process
    wake            tells the runner that there is a job, so that it need not wait for its next look
    close           ends what the parts hold open
    """

    catalog: Catalog
    assets: AssetStore
    jobs: JobStore
    keeper: JobKeeper
    schedules: ScheduleStore
    listing: Listing
    registry: Registry
    datastores: Datastores
    references: References
    registration: Registration
    inputs: InputReader
    sinks: Callable[[Job], Sequence[OutputSink]]
    fetch: Callable[[str, JobInputType], Path]
    clock: Clock
    tokens: TokenStore
    jobs_folder: Path
    stream: Callable[[], dict[str, Any]]
    ping: Callable[[], None]
    fleet: Fleet = field(default_factory=lambda: Fleet(drop=lambda place: None))
    wake: Callable[[], None] = lambda: None
    loops: Sequence[Loop] = ()
    close: Callable[[], None] = lambda: None

    @property
    def components(self) -> ComponentRegistration:
        """Registers components, and makes jobs of pipelines and commands."""
        return ComponentRegistration(self.registration, self.registry, self.references)
