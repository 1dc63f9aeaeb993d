"""Pipelines and their steps in Postgres: what is decided of them is stored whole, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from scoring.errors import Conflict, NotFound
from scoring.job import Job, JobKind, JobStatus
from scoring.pipeline.advance import Advance, Decide
from scoring.ports import TERMINAL
from storage.postgres import rows
from storage.postgres.engine import transaction
from storage.postgres.job_store import write
from storage.postgres.tables import jobs

_ENDED = sorted(status.value for status in TERMINAL)
_REUSED_LOOKS = 5


class PostgresPipelineStore:
    """`scoring.pipeline.conductor.PipelineStore`, and what steps look for in earlier ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def going(self) -> Sequence[str]:
        wanted = sa.select(jobs.c.name).where(
            jobs.c.kind == JobKind.PIPELINE.value, jobs.c.status.not_in([*_ENDED, JobStatus.NOT_STARTED.value])
        )
        with transaction(self._engine, read_only=True) as connection:
            return connection.execute(wanted.order_by(jobs.c.created_at, jobs.c.name)).scalars().all()

    def advance(self, name: str, decide: Decide) -> Advance:
        with transaction(self._engine) as connection:
            parent = _locked_parent(connection, name)
            children = _children(connection, name)
            found = decide(parent, children)
            for job in found.added:
                _add(connection, job)
            stored = {child.name: child for child in children}
            for job in found.changed:
                stored[job.name] = write(connection, stored[job.name], job, None)
            if found.parent != parent:
                parent = write(connection, parent, found.parent, None)
            return Advance(parent=parent, changed=(*stored.values(), *found.added))

    def children(self, name: str) -> Sequence[Job]:
        """In the order in which they run."""
        with transaction(self._engine, read_only=True) as connection:
            return _children(connection, name, lock=False)

    def reusable(self, fingerprint: str) -> Sequence[Job]:
        """Completed steps with this fingerprint that were really run, the newest first."""
        wanted = sa.select(jobs).where(
            jobs.c.fingerprint == fingerprint,
            jobs.c.status == JobStatus.COMPLETED.value,
            jobs.c.document["reused_from"].as_string().is_(None),
        )
        with transaction(self._engine, read_only=True) as connection:
            found = connection.execute(wanted.order_by(jobs.c.ended_at.desc()).limit(_REUSED_LOOKS))
            return [rows.job_of(row) for row in found.mappings()]


def _locked_parent(connection: Connection, name: str) -> Job:
    row = connection.execute(sa.select(jobs).where(jobs.c.name == name).with_for_update()).mappings().first()
    if row is None:
        raise NotFound(f"there is no job {name}")
    return rows.job_of(row)


def _children(connection: Connection, name: str, *, lock: bool = True) -> Sequence[Job]:
    wanted = sa.select(jobs).where(jobs.c.parent_name == name).order_by(jobs.c.created_at, jobs.c.name)
    found = connection.execute(wanted.with_for_update() if lock else wanted)
    return [rows.job_of(row) for row in found.mappings()]


def _add(connection: Connection, job: Job) -> None:
    added = connection.execute(insert(jobs).values(rows.job_row(job)).on_conflict_do_nothing().returning(jobs.c.name))
    if added.first() is None:
        raise Conflict(f"a job named {job.name} exists already, and a step of the pipeline would have its name")
