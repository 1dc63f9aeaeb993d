"""Jobs in Postgres: the queue that runners claim from, and what they write under their lease.

A lease is counted by the database's clock alone. Whoever claims a job raises its `lease_epoch`; every later write
names the epoch that it was claimed with and is refused when it is old: a runner that was frozen for an hour writes
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from scoring.errors import Conflict, LeaseLost, NotFound
from scoring.job import Job, JobKind, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchResult
from scoring.ports import TERMINAL
from scoring.reopening import Decision
from storage.postgres import rows
from storage.postgres.documents import storable, to_document
from storage.postgres.engine import transaction
from storage.postgres.tables import jobs, mini_batches

_ENDED = sorted(status.value for status in TERMINAL)

# the database's clock, running on within a transaction: a claim that waited for a row must not count from its start
_NOW = sa.func.clock_timestamp()


class PostgresJobStore:
    """`scoring.ports.JobStore` and `JobKeeper` on the tables `jobs` and `mini_batches`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, job: Job, *, idempotency_key: str | None = None) -> Job:
        """Raises Conflict where another job has the name."""
        row = rows.job_row(job) | {"idempotency_key": idempotency_key}
        with transaction(self._engine) as connection:
            # an insert that meets the same key in a transaction under way waits for its end
            added = connection.execute(insert(jobs).values(row).on_conflict_do_nothing().returning(jobs))
            stored = added.mappings().first()
            if stored is None:
                stored = _made_before(connection, job, idempotency_key)
            return rows.job_of(stored)

    def get(self, name: str) -> Job:
        with transaction(self._engine, read_only=True) as connection:
            return _read(connection, name)

    def claim(self, owner: str, lease: timedelta, *, avoid: Collection[str] = ()) -> Job | None:
        elsewhere = jobs.c.document[("deployment", "compute")].as_string().not_in(sorted(avoid))
        oldest = (
            sa.select(jobs.c.name)
            .where(sa.or_(elsewhere, jobs.c.status == JobStatus.CANCEL_REQUESTED.value) if avoid else sa.true())
            .where(jobs.c.status.not_in([*_ENDED, JobStatus.NOT_STARTED.value]))
            .where(jobs.c.kind != JobKind.PIPELINE.value)  # their steps do the work
            .where(sa.or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < _NOW))
            .order_by(jobs.c.created_at, jobs.c.name)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        claimed = (
            sa.update(jobs)
            .where(jobs.c.name == oldest)
            .values(lease_owner=owner, lease_until=_NOW + lease, lease_epoch=jobs.c.lease_epoch + 1)
            .returning(jobs)
        )
        with transaction(self._engine) as connection:
            row = connection.execute(claimed).mappings().first()
            return None if row is None else rows.job_of(row)

    def save(self, job: Job, *, manifest: Manifest | None = None, renew: timedelta | None = None) -> Job:
        """Raises Conflict for a manifest that differs from the one stored before: it is frozen."""
        with transaction(self._engine) as connection:
            stored = locked(connection, job)
            if stored.status.is_terminal:
                return stored
            if manifest is not None:
                _freeze(connection, manifest)
            return write(connection, stored, job, renew)

    def record(self, job: Job, results: Sequence[MiniBatchResult]) -> Job:
        with transaction(self._engine) as connection:
            stored = locked(connection, job)
            if stored.status.is_terminal:
                return stored
            if results:
                _end(connection, job.name, results)
            return stored

    def manifest(self, job: Job) -> tuple[Manifest | None, Sequence[MiniBatchResult]]:
        with transaction(self._engine, isolation="REPEATABLE READ", read_only=True) as connection:
            return _planned(connection, job.name)

    def annotate(self, job: Job) -> Job:
        with transaction(self._engine) as connection:
            stored = _read(connection, job.name, lock=True)
            changed = replace(stored, **{name: getattr(job, name) for name in rows.OF_THE_USER})
            return _written(connection, job.name, {"document": rows.job_document(changed)})

    def reopen(self, name: str, decide: Decision) -> Job:
        with transaction(self._engine) as connection:
            stored = _read(connection, name, lock=True)
            again = decide(stored, *_planned(connection, name))
            if again.job is None:
                return stored
            of_job = mini_batches.c.job_name == name
            cleared = sa.update(mini_batches).where(of_job, mini_batches.c.index.in_(again.forgotten))
            connection.execute(cleared.values(outcome=None, result=None, ended_at=None))
            row = rows.job_row(again.job)
            values = {key: row[key] for key in ("status", "status_reason", "error", "ended_at", "document", "progress")}
            leases = {key: getattr(again.job, key) for key in ("lease_owner", "lease_until", "lease_epoch")}
            return _written(connection, name, values | leases)

    def release(self, is_gone: Callable[[str], bool]) -> Sequence[str]:
        leased = sa.and_(jobs.c.status.not_in(_ENDED), jobs.c.lease_owner.is_not(None), jobs.c.lease_until > _NOW)
        with transaction(self._engine, read_only=True) as connection:
            owners = connection.execute(sa.select(jobs.c.lease_owner).where(leased).distinct()).scalars().all()
        gone = [owner for owner in owners if is_gone(owner)]
        if not gone:
            return []
        # by the owner's name, which no other process ever has; the next claim raises the epoch and fences it
        ended = sa.update(jobs).where(leased, jobs.c.lease_owner.in_(gone)).values(lease_until=_NOW)
        with transaction(self._engine) as connection:
            return connection.execute(ended.returning(jobs.c.name)).scalars().all()


def locked(connection: Connection, job: Job) -> Job:
    """The stored job, locked until the transaction ends. Raises NotFound, and LeaseLost where `job`'s epoch is old."""
    row = connection.execute(sa.select(jobs).where(jobs.c.name == job.name).with_for_update()).mappings().first()
    if row is None:
        raise NotFound(f"there is no job {job.name}")
    stored = rows.job_of(row)
    if stored.lease_epoch != job.lease_epoch:
        raise LeaseLost(
            f"job {job.name} was claimed again by {stored.lease_owner or 'nobody'} "
            f"(lease epoch {stored.lease_epoch}, ours is {job.lease_epoch})"
        )
    return stored


def write(connection: Connection, stored: Job, job: Job, renew: timedelta | None) -> Job:
    """Write what `job` says over the locked `stored`, but for moves that the state machine does not have from there."""
    moves = job.status is stored.status or stored.may_move(job.status)
    values: dict[str, Any] = {}
    if moves:
        values |= {"status": job.status.value, "status_reason": _text(job.status_reason)}
    # a cancel comes from outside the lease, with an old view of everything else
    if not (moves and job.status is JobStatus.CANCEL_REQUESTED is not stored.status):
        values |= {
            # the user's own fields may have changed since the runner claimed the job
            "document": rows.job_document(replace(job, **{n: getattr(stored, n) for n in rows.OF_THE_USER})),
            "progress": to_document(job.progress),
            "error": _text(job.error if job.error is not None else stored.error),
            "started_at": job.started_at or stored.started_at,
            "fingerprint": job.fingerprint,
        }
    if moves and job.status.is_terminal:
        values |= {"ended_at": job.ended_at or sa.func.now(), "lease_owner": None, "lease_until": None}
    elif renew is not None:
        values["lease_until"] = _NOW + renew
    return _written(connection, stored.name, values) if values else stored


def _made_before(connection: Connection, job: Job, idempotency_key: str | None) -> Any:
    same = []
    if idempotency_key is not None:
        same.append(jobs.c.idempotency_key == idempotency_key)
    if job.schedule_name is not None and job.fire_time is not None:
        same.append(sa.and_(jobs.c.schedule_name == job.schedule_name, jobs.c.fire_time == job.fire_time))
    row = connection.execute(sa.select(jobs).where(sa.or_(*same))).mappings().first() if same else None
    if row is None:
        raise Conflict(f"a job named {job.name} exists already")
    return row


def _read(connection: Connection, name: str, *, lock: bool = False) -> Job:
    wanted = sa.select(jobs).where(jobs.c.name == name)
    row = connection.execute(wanted.with_for_update() if lock else wanted).mappings().first()
    if row is None:
        raise NotFound(f"there is no job {name}")
    return rows.job_of(row)


def _written(connection: Connection, name: str, values: Mapping[str, Any]) -> Job:
    written = connection.execute(sa.update(jobs).where(jobs.c.name == name).values(**values).returning(jobs))
    return rows.job_of(written.mappings().one())


def _planned(connection: Connection, name: str) -> tuple[Manifest | None, Sequence[MiniBatchResult]]:
    document = connection.execute(sa.select(jobs.c.manifest).where(jobs.c.name == name)).scalar_one_or_none()
    if document is None:
        return None, []
    of_job = sa.select(mini_batches).where(mini_batches.c.job_name == name).order_by(mini_batches.c.index)
    found = connection.execute(of_job).mappings().all()
    planned = tuple(rows.mini_batch_of(row) for row in found)
    ends = [rows.result_of(row) for row in found]
    return rows.manifest_of(name, document, planned), [end for end in ends if end is not None]


def _freeze(connection: Connection, manifest: Manifest) -> None:
    """Store the manifest with its mini-batches, unless it is stored already."""
    name = manifest.job_name
    before = connection.execute(sa.select(jobs.c.manifest).where(jobs.c.name == name)).scalar_one()
    document = rows.manifest_document(manifest)
    if before is not None:
        if before["fingerprint"] != document["fingerprint"]:
            raise Conflict(f"job {name} has a manifest already; a job's mini-batches are planned once")
        return
    connection.execute(sa.update(jobs).where(jobs.c.name == name).values(manifest=document))
    if manifest.mini_batches:
        connection.execute(sa.insert(mini_batches), [rows.mini_batch_row(name, m) for m in manifest.mini_batches])


_END = sa.text("""
    update mini_batches m set outcome = r.outcome, result = r.result, ended_at = now()
    from jsonb_to_recordset(cast(:results as jsonb)) as r(index int, outcome text, result jsonb)
    where m.job_name = :job and m.index = r.index and m.outcome is null
""")


def _end(connection: Connection, job_name: str, results: Sequence[MiniBatchResult]) -> None:
    documents = [{"index": r.index, "outcome": r.outcome.value, "result": rows.result_document(r)} for r in results]
    connection.execute(_END, {"job": job_name, "results": json.dumps(documents)})


def _text(text: str | None) -> str | None:
    return None if text is None else storable(text)
