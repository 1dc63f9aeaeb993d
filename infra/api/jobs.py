"""Jobs: what became of an invocation, and cancelling it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from infra.api.endpoints import base_url
from infra.api.errors import answers
from infra.api.parts import ListedMiniBatch, ServiceParts
from scoring.errors import Conflict, LeaseLost
from scoring.job import Job, JobKind, JobStatus
from scoring.specs.shown import Shown, time_text, to_document

_TRIES = 10

Limit = Annotated[int, Query(ge=1, le=10_000)]


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.get("/jobs/{name}", responses=answers(404, 503))
    def show_job(request: Request, name: str) -> Shown:
        """A job; a step of a pipeline is a job too. Of an invocation of a model also its step `<job>:batchscoring`.

        A pipeline's `children` counts its steps by their states.
        """
        job = job_named(parts, name)
        shown = shown_job(parts, request, job)
        if is_step(name):
            return step_of(shown)
        return {**shown, "children": _counted(parts, job)} if job.kind is JobKind.PIPELINE else shown

    @routes.get("/jobs", responses=answers(400, 503))
    def list_jobs(
        request: Request,
        schedule_name: str | None = None,
        parent_job_name: str | None = None,
        archived_only: bool = False,
        include_archived: bool = False,
        status: Annotated[list[JobStatus] | None, Query()] = None,
        max_results: Limit = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> list[Shown]:
        """Newest first. With `parent_job_name` the steps of that job: of an invocation of a model one, which scores."""
        if parent_job_name is not None:
            if is_step(parent_job_name):
                return []
            parent = parts.jobs.get(parent_job_name)
            if parent.kind is JobKind.SCORING:
                return [step_of(shown_job(parts, request, parent))][offset:]
        found = parts.listing.jobs(
            schedule_name=schedule_name,
            parent_name=parent_job_name,
            statuses=status or (),
            archived=True if archived_only else None if include_archived else False,
            limit=max_results,
            offset=offset,
        )
        return [shown_job(parts, request, job) for job in found]

    @routes.post("/jobs/{name}/cancel", status_code=202, responses=answers(404, 409, 503))
    def cancel_job(request: Request, name: str) -> Shown:
        """Ask for the job's end; poll until it is Canceled. A job whose outputs are being written completes."""
        return shown_job(parts, request, canceled_job(parts, name))

    @routes.get("/jobs/{name}/mini-batches", responses=answers(404, 503))
    def list_mini_batches(name: str, max_results: Limit = 1000, offset: Annotated[int, Query(ge=0)] = 0) -> list[Shown]:
        """In the order of the manifest; empty until the job is planned."""
        job = job_named(parts, name)
        return [_mini_batch(m) for m in parts.listing.mini_batches(job.name, limit=max_results, offset=offset)]

    return routes


_MOST_STEPS = 10_000


def _counted(parts: ServiceParts, job: Job) -> dict[str, int]:
    steps = parts.listing.jobs(parent_name=job.name, limit=_MOST_STEPS)
    states = Counter(step.status.value for step in steps)
    return {"total": len(steps), **{state: states[state] for state in sorted(states)}}


_STEP = "batchscoring"


def is_step(name: str) -> bool:
    """Whether the name is that of a job's step; the job is its parent."""
    return name.endswith(f":{_STEP}")


def job_named(parts: ServiceParts, name: str) -> Job:
    """The job of that name, or whose step has it. Raises NotFound."""
    return parts.jobs.get(name.removesuffix(f":{_STEP}"))


def step_of(shown: Shown) -> Shown:
    """The step `batchscoring` of a shown job: what Azure makes the scoring itself, with the output and the logs."""
    name = f"{shown['name']}:{_STEP}"
    kept = {key: value for key, value in shown.items() if key not in {"schedule_name", "fire_time", "trigger"}}
    address = f"{shown['services']['Studio']['endpoint']}:{_STEP}"
    return {
        **kept,
        "id": f"{shown['id']}:{_STEP}",
        "name": name,
        "type": "parallel",
        "display_name": _STEP,
        "parent_job_name": shown["name"],
        "services": {**shown["services"], "Studio": {"endpoint": address, "type": "Studio"}},
    }


def shown_job(parts: ServiceParts, request: Request, job: Job) -> Shown:
    """A job as every route shows it: with where its output lies."""
    if job.kind is not JobKind.SCORING:
        return to_document(job, base_url=base_url(request))
    folder = job.output.path or str(parts.jobs_folder / job.name / "outputs" / "score")
    outputs = {"score": {"type": "uri_folder", "path": folder}}
    return {**to_document(job, base_url=base_url(request)), "outputs": outputs}


def canceled_job(parts: ServiceParts, name: str) -> Job:
    """Ask for a job's end. Raises NotFound, Conflict for a job that can no longer be canceled."""
    try:
        return _cancelled(parts, name)
    finally:
        parts.wake()


def _cancelled(parts: ServiceParts, name: str) -> Job:
    for _ in range(_TRIES):
        job = job_named(parts, name)
        if job.status in {JobStatus.CANCEL_REQUESTED, JobStatus.CANCELED}:
            return job
        # nobody works on a queued job without a lease, so nobody need be asked to stop
        wanted = JobStatus.CANCEL_REQUESTED
        nobody = job.lease_owner is None and job.kind is not JobKind.PIPELINE
        if job.status is JobStatus.NOT_STARTED or (job.status is JobStatus.QUEUED and nobody):
            wanted = JobStatus.CANCELED
        if not job.may_move(wanted):
            raise Conflict(f"job {name} is {job.status} and cannot be canceled any more")
        moved = job.moved(wanted, reason="canceled by its user")
        if wanted is JobStatus.CANCELED:
            moved = replace(moved, ended_at=parts.clock.now())
        try:
            stored = parts.jobs.save(moved)
        except LeaseLost:
            continue  # a runner claimed it meanwhile; ask that one
        if stored.status in {JobStatus.CANCEL_REQUESTED, JobStatus.CANCELED}:
            return stored
    raise Conflict(f"job {name} changed {_TRIES} times meanwhile; try again")


def _mini_batch(listed: ListedMiniBatch) -> Shown:
    result = listed.result
    shown: dict[str, Any] = {
        "index": listed.mini_batch.index,
        "items": [
            {"uri": item.uri, "size_bytes": item.size_bytes, "rows": item.rows} for item in listed.mini_batch.items
        ],
        "outcome": None if result is None else result.outcome.value,
        "ended_at": time_text(listed.ended_at),
    }
    for key in ("succeeded", "failed", "tries", "seconds", "rows", "worker", "error", "traceback"):
        shown[key] = None if result is None else getattr(result, key)
    return shown
