"""A job: an invocation of an endpoint, a command, or a pipeline and its steps; from Queued to one of the three ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from scoring.components.declared import ValueType
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.deployment import Deployment
from scoring.pipeline.parallel_job import ParallelJob


class JobStatus(StrEnum):
    """Azure's words; the scripts of users compare them literally.

    NotStarted    a step of a pipeline that waits for other steps
    Preparing     the input is listed and frozen, the environment made
    Provisioning  instances of the compute are being started
    Starting      worker processes load the scoring script and call its `init()`
    Running       the first worker is ready: mini-batches are scored
    """

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    PROVISIONING = "Provisioning"
    STARTING = "Starting"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCEL_REQUESTED = "CancelRequested"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED}


_WAY = (
    JobStatus.PREPARING,
    JobStatus.PROVISIONING,
    JobStatus.STARTING,
    JobStatus.RUNNING,
    JobStatus.FINALIZING,
)
_ENDS_EARLY = frozenset({JobStatus.FAILED, JobStatus.CANCELED, JobStatus.CANCEL_REQUESTED})

_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.NOT_STARTED: frozenset({JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELED}),
    JobStatus.QUEUED: frozenset({JobStatus.PREPARING, *_ENDS_EARLY}),
    # forward only; what a compute has warm already is skipped
    **{status: frozenset({*_WAY[place + 1 :], *_ENDS_EARLY}) for place, status in enumerate(_WAY)},
    # once its outputs are being committed a job can no longer be canceled: it completes, or fails
    JobStatus.FINALIZING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED}),
    JobStatus.CANCEL_REQUESTED: frozenset({JobStatus.CANCELED, JobStatus.FAILED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
}


class JobKind(StrEnum):
    """What a job does. `scoring` is an invocation of a model's deployment; the others are Azure's types of jobs.

    A pipeline's work is done by its children: one job a step, of any of the last three kinds.
    """

    SCORING = "scoring"
    PIPELINE = "pipeline"
    COMMAND = "command"
    PARALLEL = "parallel"


class JobInputType(StrEnum):
    """`table` is tidemill's own: rows of a lake table, joined with static data."""

    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"
    TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """Long rows to wide ones: one row per `index`, a column `<columns value>_<values name>` for each pair."""

    index: tuple[str, ...]
    columns: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class JobInput:
    """What a job reads.

    path          a local folder or file (uri_folder, uri_file), or `lake://<table>` (table)
    join          static Postgres tables joined by their key: `sensors` by sensor_id, `machines` by machine_id, `sites`
    pivot         how the joined rows become items: one item is one row that `run` gets
    incremental   only what the table gained since the schedule's last success (or `from_version`)
    from_version  table version that was scored already; None is from the beginning
    to_version    table version up to which rows are scored; None until planned, frozen by planning
    source        the reference that the caller wrote (`azureml:…`), where `path` is what it stood for
    is_type_given whether the caller said the type; else it is as the content turns out to be
    """

    type: JobInputType
    path: str
    join: tuple[str, ...] = ()
    pivot: Pivot | None = None
    incremental: bool = False
    from_version: int | None = None
    to_version: int | None = None
    source: str | None = None
    is_type_given: bool = True


NO_INPUT = JobInput(type=JobInputType.URI_FOLDER, path="")
"""Of jobs whose inputs have names."""


@dataclass(frozen=True, kw_only=True)
class JobOutput:
    """Where predictions go.

    path          folder for files; None is the job's own `outputs/score` folder
    predictions   also (table inputs: always) into the lake's and Postgres' `predictions` tables
    overwrite     an output file that exists is replaced
    """

    path: str | None = None
    predictions: bool = False
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class NamedOutput:
    """What a command, a step or a pipeline writes: a folder, or a file, of this machine."""

    type: ValueType
    path: str


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """Counts over the job's mini-batches and items; items are files (uri_*) or rows (table).

    items_per_second  how fast items have ended lately; None before the first, and while nothing is scored
    """

    mini_batches: int = 0
    mini_batches_done: int = 0
    mini_batches_failed: int = 0
    items: int = 0
    items_succeeded: int = 0
    items_failed: int = 0
    retries: int = 0
    items_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class JobUsage:
    """What a job has cost so far, over all its claims and rounds.

    worker_seconds  sum over worker processes of the time that they were the job's, starting and init() included
    core_seconds    processor time that they used, children of theirs included; None where it was not measured
    instances       most instances at one time; `processes` likewise
    """

    worker_seconds: float = 0.0
    core_seconds: float | None = None
    instances: int = 0
    processes: int = 0

    def plus(self, more: JobUsage) -> JobUsage:
        known = [seconds for seconds in (self.core_seconds, more.core_seconds) if seconds is not None]
        return JobUsage(
            worker_seconds=self.worker_seconds + more.worker_seconds,
            core_seconds=sum(known) if known else None,
            instances=max(self.instances, more.instances),
            processes=max(self.processes, more.processes),
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """One invocation, command, pipeline, or step of a pipeline. It keeps what it is made of as that was then.

    deployment     as invoked; of other kinds what their processes need of one: compute, environment, variables, code
    parent, step   of a pipeline's child: the pipeline's job, and the step's name in it
    pipeline, command, parallel  what is run, by kind; a step that has not started has none yet
    outputs        of these kinds, by name: where they lie
    may_reuse      a step whose outputs may be those of an earlier one with the same `fingerprint`; `reused_from` names
                   the job whose outputs were taken over, instead of running it
    status_reason  one sentence for people: what it waits for, or why it ended so
    error          the first traceback of the user's script, if one was raised
    notes          what its environment has otherwise than asked for, such as pins that had to be moved
    trigger        `user` or `schedule`; with `schedule_name` and `fire_time` for the latter
    description, properties, archived  the user's, as are display_name and tags: they may change at any time
    round          how often the job was taken up again after its end (`resume`, `retry-failed`)
    lease_until    until when the runner `lease_owner` may write for this job; `lease_epoch` fences late writers
    """

    name: str
    endpoint_name: str
    deployment: Deployment
    input: JobInput
    output: JobOutput = JobOutput()
    kind: JobKind = JobKind.SCORING
    parent: str | None = None
    step: str | None = None
    pipeline: PipelineJob | None = None
    command: CommandJob | None = None
    parallel: ParallelJob | None = None
    outputs: Mapping[str, NamedOutput] = field(default_factory=dict)
    may_reuse: bool = False
    fingerprint: str | None = None
    reused_from: str | None = None
    display_name: str | None = None
    experiment_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False
    status: JobStatus = JobStatus.QUEUED
    status_reason: str | None = None
    error: str | None = None
    progress: JobProgress = JobProgress()
    notes: tuple[str, ...] = ()
    usage: JobUsage = JobUsage()
    round: int = 0
    trigger: str = "user"
    schedule_name: str | None = None
    fire_time: datetime | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    lease_epoch: int = 0

    def may_move(self, status: JobStatus) -> bool:
        return status in _MOVES[self.status]

    def moved(self, status: JobStatus, *, reason: str | None = None) -> Job:
        """The job in its next status. Raises ValueError for a move that the state machine does not have."""
        if not self.may_move(status):
            raise ValueError(f"job {self.name} is {self.status} and cannot become {status}")
        return replace(self, status=status, status_reason=reason)
