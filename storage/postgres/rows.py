"""How values lie in the rows of `tables`: one pair of functions a value, used by stores and lists alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import RowMapping

from scoring.components.jobs import CommandJob, PipelineDeployment, PipelineJob
from scoring.compute.cluster import Compute
from scoring.deployment import Deployment
from scoring.endpoint import Endpoint
from scoring.job import Job, JobInput, JobKind, JobOutput, JobProgress, JobStatus, JobUsage, NamedOutput
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult, Slice, SliceKind
from scoring.model import Model
from scoring.pipeline.parallel_job import ParallelJob
from scoring.schedule import Schedule
from storage.postgres.documents import from_document, storable, to_document

_JOB_DOCUMENT = (
    "deployment", "input", "output", "display_name", "experiment_name", "tags", "description", "properties",
    "archived", "usage", "round", "notes",
)  # fmt: skip

_OF_STEPS = ("step", "pipeline", "command", "parallel", "outputs", "may_reuse", "reused_from")
"""Fields of jobs that are no invocations of models: others have no word of them in their document."""

OF_THE_USER = ("display_name", "description", "tags", "properties", "archived")
"""Fields of a job that only its user changes, whoever holds the lease."""

_SCHEDULE_COLUMNS = (
    "name", "endpoint_name", "is_enabled", "next_fire", "last_fire", "last_job_name", "last_skip", "missed",
    "last_version", "created_at",
)  # fmt: skip


def job_row(job: Job) -> dict[str, Any]:
    """A new row of `jobs`; lease columns keep their defaults."""
    row: dict[str, Any] = {
        "name": job.name,
        "endpoint_name": job.endpoint_name,
        "deployment_name": job.deployment.name,
        "model_name": job.deployment.model.name,
        "model_version": job.deployment.model.version,
        "kind": job.kind.value,
        "parent_name": job.parent,
        "fingerprint": job.fingerprint,
        "status": job.status.value,
        "document": job_document(job),
        "status_reason": _text(job.status_reason),
        "error": _text(job.error),
        "progress": to_document(job.progress),
        "trigger": job.trigger,
        "schedule_name": job.schedule_name,
        "fire_time": job.fire_time,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }
    if job.created_at is not None:
        row["created_at"] = job.created_at
    return row


def job_document(job: Job) -> dict[str, Any]:
    names = _JOB_DOCUMENT if job.kind is JobKind.SCORING else _JOB_DOCUMENT + _OF_STEPS
    return {name: to_document(getattr(job, name)) for name in names}


def job_of(row: RowMapping) -> Job:
    document = row["document"]
    return Job(
        name=row["name"],
        endpoint_name=row["endpoint_name"],
        deployment=from_document(Deployment, document["deployment"]),
        input=from_document(JobInput, document["input"]),
        output=from_document(JobOutput, document.get("output") or {}),
        kind=JobKind(row["kind"]),
        parent=row["parent_name"],
        fingerprint=row["fingerprint"],
        **_of_steps(document),
        display_name=document.get("display_name"),
        experiment_name=document.get("experiment_name"),
        tags=dict(document.get("tags") or {}),
        description=document.get("description"),
        properties=dict(document.get("properties") or {}),
        archived=bool(document.get("archived")),
        usage=from_document(JobUsage, document.get("usage") or {}),
        round=document.get("round") or 0,
        notes=tuple(document.get("notes") or ()),
        status=JobStatus(row["status"]),
        status_reason=row["status_reason"],
        error=row["error"],
        progress=from_document(JobProgress, row["progress"]),
        trigger=row["trigger"],
        schedule_name=row["schedule_name"],
        fire_time=_utc(row["fire_time"]),
        created_at=_utc(row["created_at"]),
        started_at=_utc(row["started_at"]),
        ended_at=_utc(row["ended_at"]),
        lease_owner=row["lease_owner"],
        lease_until=_utc(row["lease_until"]),
        lease_epoch=row["lease_epoch"],
    )


def _of_steps(document: Mapping[str, Any]) -> dict[str, Any]:
    kinds: dict[str, Any] = {"pipeline": PipelineJob, "command": CommandJob, "parallel": ParallelJob}
    found = {name: from_document(kind, document[name]) for name, kind in kinds.items() if document.get(name)}
    outputs = {name: from_document(NamedOutput, given) for name, given in (document.get("outputs") or {}).items()}
    rest = {name: document[name] for name in ("step", "may_reuse", "reused_from") if name in document}
    return {**found, **rest, "outputs": outputs}


def manifest_document(manifest: Manifest) -> dict[str, Any]:
    """What `jobs.manifest` holds; the mini-batches have rows of their own."""
    return {
        "fingerprint": manifest.fingerprint,
        "mini_batches": len(manifest.mini_batches),
        "from_version": manifest.from_version,
        "to_version": manifest.to_version,
        "static_path": manifest.static_path,
    }


def manifest_of(job_name: str, document: dict[str, Any], mini_batches: tuple[MiniBatch, ...]) -> Manifest:
    return Manifest(
        job_name=job_name,
        mini_batches=mini_batches,
        from_version=document.get("from_version"),
        to_version=document.get("to_version"),
        static_path=document.get("static_path"),
    )


def mini_batch_row(job_name: str, mini_batch: MiniBatch) -> dict[str, Any]:
    return {"job_name": job_name, "index": mini_batch.index, "items": [_item_row(item) for item in mini_batch.items]}


def mini_batch_of(row: RowMapping) -> MiniBatch:
    return MiniBatch(index=row["index"], items=tuple(_item_of(item) for item in row["items"]))


def _item_row(item: InputItem) -> list[Any]:
    """Short, as there may be a hundred thousand of them."""
    row: list[Any] = [item.uri, item.size_bytes, item.rows]
    if item.records is not None or item.slice is not None:
        row.append(item.records)
    if item.slice is not None:
        row += [item.slice.kind.value, item.slice.start, item.slice.end, item.slice.header]
    return row


def _item_of(row: list[Any]) -> InputItem:
    uri, size, rows, *more = row
    part = None
    if len(more) > 1:
        part = Slice(kind=SliceKind(more[1]), start=more[2], end=more[3], header=more[4])
    return InputItem(uri=uri, size_bytes=size, rows=rows, records=more[0] if more else None, slice=part)


def result_of(row: RowMapping) -> MiniBatchResult | None:
    """The end of the mini-batch, or None while it has none."""
    if row["outcome"] is None:
        return None
    return from_document(MiniBatchResult, row["result"])


def result_document(result: MiniBatchResult) -> dict[str, Any]:
    document: dict[str, Any] = to_document(result)
    assert MiniBatchOutcome(document["outcome"]) is result.outcome
    return document


def catalog_document(item: Compute | Endpoint | Deployment | PipelineDeployment | Model) -> dict[str, Any]:
    """The item's fields but `created_at`, which is a column."""
    document: dict[str, Any] = to_document(item)
    del document["created_at"]
    return document


def compute_of(row: RowMapping) -> Compute:
    return from_document(Compute, _with_created(row))


def endpoint_of(row: RowMapping) -> Endpoint:
    return from_document(Endpoint, _with_created(row))


def deployment_of(row: RowMapping) -> Deployment | PipelineDeployment:
    document = _with_created(row)
    if "component" in document:  # only a pipeline's has one
        return from_document(PipelineDeployment, document)
    return from_document(Deployment, document)


def model_of(row: RowMapping) -> Model:
    return from_document(Model, _with_created(row))


def schedule_row(schedule: Schedule) -> dict[str, Any]:
    row = {name: getattr(schedule, name) for name in _SCHEDULE_COLUMNS}
    row["last_skip"] = _text(schedule.last_skip)
    if schedule.created_at is None:
        del row["created_at"]
    document = to_document(schedule)
    row["document"] = {name: item for name, item in document.items() if name not in _SCHEDULE_COLUMNS}
    return row


def schedule_of(row: RowMapping) -> Schedule:
    columns = {name: to_document(row[name]) for name in _SCHEDULE_COLUMNS}
    return from_document(Schedule, {**row["document"], **columns})


def _with_created(row: RowMapping) -> dict[str, Any]:
    return {**row["document"], "created_at": to_document(row["created_at"])}


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _text(text: str | None) -> str | None:
    return None if text is None else storable(text)
