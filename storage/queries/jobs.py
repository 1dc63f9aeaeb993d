"""Jobs, their mini-batches and the schedules that make them, as Postgres holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from storage.queries import postgres
from storage.queries.postgres import as_time, as_times
from storage.queries.stores import Stores

MOST_BARS = 2000
"""A timeline shows at most so many mini-batches; failed and retried ones come first."""

_LIST = """
    select j.name, j.document->>'display_name' as display_name, j.endpoint_name, j.deployment_name,
           j.model_name || ':' || j.model_version as model, j.trigger, j.schedule_name, j.status, j.status_reason,
           coalesce((j.progress->>'mini_batches')::int, 0) as mini_batches,
           coalesce((j.progress->>'mini_batches_done')::int, 0) as mini_batches_done,
           coalesce((j.progress->>'items')::bigint, 0) as items,
           coalesce((j.progress->>'items_succeeded')::bigint, 0) as items_succeeded,
           coalesce((j.progress->>'items_failed')::bigint, 0) as items_failed,
           coalesce((j.progress->>'retries')::int, 0) as retries,
           j.created_at, j.started_at, j.ended_at,
           extract(epoch from coalesce(j.ended_at, now()) - j.started_at)::float8 as seconds
    from jobs j
    where (cast(:statuses as text[]) is null or j.status = any(cast(:statuses as text[])))
      and (cast(:endpoint as text) is null or j.endpoint_name = :endpoint)
"""


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """One page of the list, the newest first.

    total    jobs that the filter leaves, on all pages
    jobs     name, display_name, endpoint_name, deployment_name, model, trigger, schedule_name, status, status_reason,
             mini_batches, mini_batches_done, items, items_succeeded, items_failed, retries, created_at, started_at,
             ended_at, seconds (started to ended, or to now)
    """

    total: int
    jobs: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class JobDetail:
    """One job. `document` is as stored: deployment as invoked, input, output, tags; `manifest` too, or None."""

    job: Mapping[str, Any]
    document: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    error: str | None
    predictions: int
    mini_batches: pd.DataFrame = field(repr=False)
    mini_batches_shown_of: int

    @property
    def is_live(self) -> bool:
        return self.job["status"] not in ("Completed", "Failed", "Canceled")


def list_jobs(
    stores: Stores,
    *,
    statuses: Sequence[str] | None = None,
    endpoint: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> JobPage:
    """A page of jobs, steps of pipelines not among them. Statuses are Azure's words; None is all."""
    listed = f"{_LIST} and j.parent_name is null"
    filters: dict[str, object] = {"statuses": list(statuses) if statuses else None, "endpoint": endpoint}
    counted = postgres.read(stores, f"select count(*) as n from ({listed}) x", filters)  # noqa: S608
    found = postgres.read(
        stores,
        f"{listed} order by j.created_at desc, j.name desc limit :limit offset :offset",
        filters | {"limit": limit, "offset": offset},
    )
    return JobPage(total=int(counted["n"][0]), jobs=as_times(found, "created_at", "started_at", "ended_at"))


def status_counts(stores: Stores) -> dict[str, int]:
    """Jobs by status, over all time."""
    found = postgres.read(stores, "select status, count(*) as n from jobs where parent_name is null group by 1")
    return {str(s): int(n) for s, n in zip(found["status"], found["n"], strict=True)}


def endpoints(stores: Stores) -> list[str]:
    """Endpoints that have jobs."""
    found = postgres.read(stores, "select distinct endpoint_name as n from jobs where endpoint_name <> '' order by 1")
    return [str(n) for n in found["n"]]


def job_detail(stores: Stores, name: str) -> JobDetail | None:
    """One job with its mini-batches; None where no job has this name.

    `mini_batches`: index, items, outcome (None until it ended), worker, tries, seconds, rows, succeeded, failed, error,
    traceback, started_at (of the last try), ended_at; at most MOST_BARS rows in order of index.
    """
    found = postgres.read(
        stores,
        f"""select x.*, j.document, j.manifest, j.error,
                   (select count(*) from predictions p where p.job_name = j.name) as predictions
            from ({_LIST}) x join jobs j using (name) where j.name = :name""",  # noqa: S608
        {"statuses": None, "endpoint": None, "name": name},
    )
    if found.empty:
        return None
    row: dict[str, Any] = {str(k): v for k, v in found.iloc[0].to_dict().items()}
    for column in ("created_at", "started_at", "ended_at"):
        row[column] = as_time(row[column])
    batches, total = _mini_batches(stores, name)
    return JobDetail(
        document=row.pop("document") or {},
        manifest=row.pop("manifest"),
        error=row.pop("error"),
        predictions=int(row.pop("predictions")),
        job=row,
        mini_batches=batches,
        mini_batches_shown_of=total,
    )


def _mini_batches(stores: Stores, job: str) -> tuple[pd.DataFrame, int]:
    found = postgres.read(
        stores,
        """select index, coalesce((result->>'items')::int, jsonb_array_length(items)) as items, outcome,
                  result->>'worker' as worker, (result->>'tries')::int as tries,
                  (result->>'seconds')::float8 as seconds, (result->>'rows')::bigint as rows,
                  (result->>'succeeded')::bigint as succeeded, (result->>'failed')::bigint as failed,
                  result->>'error' as error, result->>'traceback' as traceback,
                  ended_at - make_interval(secs => coalesce((result->>'seconds')::float8, 0)) as started_at, ended_at,
                  count(*) over () as total
           from mini_batches where job_name = :job
           order by (outcome = 'failed') desc nulls last, (result->>'tries')::int desc nulls last, index limit :most""",
        {"job": job, "most": MOST_BARS},
    )
    total = int(found["total"].iloc[0]) if len(found) else 0
    found = as_times(found.drop(columns="total"), "started_at", "ended_at")
    return found.sort_values("index").reset_index(drop=True), total


def ended_by_hour(stores: Stores, *, since: datetime) -> pd.DataFrame:
    """Jobs that ended since then, by the hour of their END: hour, status, jobs."""
    found = postgres.read(
        stores,
        """select date_trunc('hour', ended_at) as hour, status, count(*) as jobs from jobs
           where ended_at >= :since and parent_name is null group by 1, 2 order by 1, 2""",
        {"since": since},
    )
    return as_times(found, "hour")


def schedules(stores: Stores) -> pd.DataFrame:
    """name, endpoint_name, is_enabled, next_fire, last_fire, last_job_name, last_skip, last_version, last_status."""
    found = postgres.read(
        stores,
        """select s.name, s.endpoint_name, s.is_enabled, s.next_fire, s.last_fire, s.last_job_name, s.last_skip,
                  s.last_version, j.status as last_status
           from schedules s left join jobs j on j.name = s.last_job_name order by s.name""",
    )
    return as_times(found, "next_fire", "last_fire")
