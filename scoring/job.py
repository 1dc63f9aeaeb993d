"""A job: one invocation of an endpoint, from Queued to one of the three ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from scoring.deployment import Deployment


class JobStatus(StrEnum):
    """Azure's words; the scripts of users compare them literally."""

    QUEUED = "Queued"
    PREPARING = "Preparing"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCEL_REQUESTED = "CancelRequested"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED}


_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset(
        {JobStatus.PREPARING, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.CANCEL_REQUESTED}
    ),
    JobStatus.PREPARING: frozenset(
        {
            JobStatus.RUNNING,
            JobStatus.FINALIZING,
            JobStatus.FAILED,
            JobStatus.CANCELED,
            JobStatus.CANCEL_REQUESTED,
        }
    ),
    JobStatus.RUNNING: frozenset(
        {JobStatus.FINALIZING, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.CANCEL_REQUESTED}
    ),
    # once its outputs are being committed a job can no longer be canceled: it completes, or fails
    JobStatus.FINALIZING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED}),
    JobStatus.CANCEL_REQUESTED: frozenset({JobStatus.CANCELED, JobStatus.FAILED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
}


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
    """

    type: JobInputType
    path: str
    join: tuple[str, ...] = ()
    pivot: Pivot | None = None
    incremental: bool = False
    from_version: int | None = None
    to_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class JobOutput:
    """Where predictions go.

    path          folder for files; None is the job's own `outputs/score` folder
    predictions   also (table inputs: always) into the lake's and Postgres' `predictions` tables
    """

    path: str | None = None
    predictions: bool = False


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """Counts over the job's mini-batches and items; items are files (uri_*) or rows (table)."""

    mini_batches: int = 0
    mini_batches_done: int = 0
    items: int = 0
    items_succeeded: int = 0
    items_failed: int = 0
    retries: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One invocation. It keeps the deployment as it was when invoked.

    status_reason  one sentence for people: what it waits for, or why it ended so
    error          the first traceback of the user's script, if one was raised
    trigger        `user` or `schedule`; with `schedule_name` and `fire_time` for the latter
    lease_until    until when the runner `lease_owner` may write for this job; `lease_epoch` fences late writers
    """

    name: str
    endpoint_name: str
    deployment: Deployment
    input: JobInput
    output: JobOutput = JobOutput()
    display_name: str | None = None
    experiment_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    status: JobStatus = JobStatus.QUEUED
    status_reason: str | None = None
    error: str | None = None
    progress: JobProgress = JobProgress()
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
