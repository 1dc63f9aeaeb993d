"""Lists of what the stores hold, for the API: newest or by name, always limited."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine, RowMapping

from scoring.components.jobs import PipelineDeployment
from scoring.compute.cluster import Compute
from scoring.deployment import Deployment
from scoring.endpoint import Endpoint
from scoring.job import Job, JobStatus
from scoring.minibatch import MiniBatch, MiniBatchResult
from scoring.model import Model
from scoring.schedule import Schedule
from storage.postgres import rows
from storage.postgres.asset_store import newest_version_first
from storage.postgres.engine import transaction
from storage.postgres.tables import computes, deployments, endpoints, jobs, mini_batches, models, schedules

T = TypeVar("T")

LIMIT = 50
"""Rows of a list where the caller names no other number."""


@dataclass(frozen=True, kw_only=True)
class ListedMiniBatch:
    """A mini-batch as planned, and how it ended; `result` and `ended_at` are None until then."""

    mini_batch: MiniBatch
    result: MiniBatchResult | None
    ended_at: datetime | None


class Listing:
    """Reads only; each call is one short transaction. Raises TryAgain while the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def jobs(
        self,
        *,
        endpoint_name: str | None = None,
        deployment_name: str | None = None,
        schedule_name: str | None = None,
        parent_name: str | None = None,
        statuses: Collection[JobStatus] = (),
        archived: bool | None = None,
        limit: int = LIMIT,
        offset: int = 0,
    ) -> Sequence[Job]:
        """Newest first; the conditions given must all hold. Steps of pipelines only with their `parent_name`."""
        wanted = sa.select(jobs).where(
            jobs.c.parent_name.is_(None) if parent_name is None else jobs.c.parent_name == parent_name
        )
        if archived is not None:
            wanted = wanted.where(sa.func.coalesce(jobs.c.document["archived"].as_boolean(), False).is_(archived))
        for column, value in (
            (jobs.c.endpoint_name, endpoint_name),
            (jobs.c.deployment_name, deployment_name),
            (jobs.c.schedule_name, schedule_name),
        ):
            if value is not None:
                wanted = wanted.where(column == value)
        if statuses:
            wanted = wanted.where(jobs.c.status.in_(sorted(statuses)))
        newest = wanted.order_by(jobs.c.created_at.desc(), jobs.c.name.desc()).limit(limit).offset(offset)
        return self._all(newest, rows.job_of)

    def mini_batches(self, job_name: str, *, limit: int = 1000, offset: int = 0) -> Sequence[ListedMiniBatch]:
        """In the order of the manifest; empty before planning, and for a job that does not exist."""
        wanted = sa.select(mini_batches).where(mini_batches.c.job_name == job_name)
        return self._all(wanted.order_by(mini_batches.c.index).limit(limit).offset(offset), _listed)

    def computes(self) -> Sequence[Compute]:
        return self._all(sa.select(computes).order_by(computes.c.name), rows.compute_of)

    def models(self, name: str | None = None) -> Sequence[Model]:
        """By name; the versions of one, newest first."""
        wanted = sa.select(models) if name is None else sa.select(models).where(models.c.name == name)
        return self._all(wanted.order_by(models.c.name, *newest_version_first(models)), rows.model_of)

    def endpoints(self) -> Sequence[Endpoint]:
        return self._all(sa.select(endpoints).order_by(endpoints.c.name), rows.endpoint_of)

    def deployments(self, endpoint_name: str) -> Sequence[Deployment | PipelineDeployment]:
        """By name; empty for an endpoint that does not exist."""
        wanted = sa.select(deployments).where(deployments.c.endpoint_name == endpoint_name)
        return self._all(wanted.order_by(deployments.c.name), rows.deployment_of)

    def schedules(self) -> Sequence[Schedule]:
        return self._all(sa.select(schedules).order_by(schedules.c.name), rows.schedule_of)

    def _all(self, statement: sa.Select[Any], read: Callable[[RowMapping], T]) -> list[T]:
        with transaction(self._engine, read_only=True) as connection:
            return [read(row) for row in connection.execute(statement).mappings()]


def _listed(row: RowMapping) -> ListedMiniBatch:
    ended_at = row["ended_at"]
    return ListedMiniBatch(
        mini_batch=rows.mini_batch_of(row),
        result=rows.result_of(row),
        ended_at=None if ended_at is None else ended_at.astimezone(UTC),
    )
