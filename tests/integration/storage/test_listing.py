"""Lists for the API: newest or by name, and always limited."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from scoring.compute.cluster import Compute
from scoring.endpoint import Endpoint
from scoring.job import JobStatus
from scoring.model import Model
from storage.postgres.catalog import PostgresCatalog
from storage.postgres.job_store import PostgresJobStore
from storage.postgres.listing import Listing
from storage.postgres.schedule_store import PostgresScheduleStore
from tests.contract.values import NOW, a_deployment, a_job, a_manifest, a_result, a_schedule

pytestmark = pytest.mark.stack


def test_an_empty_database_lists_nothing(engine: sa.Engine) -> None:
    listing = Listing(engine)
    lists = (listing.jobs(), listing.computes(), listing.models(), listing.endpoints(), listing.schedules())
    assert all(list(found) == [] for found in lists)
    assert list(listing.deployments("nix")) == list(listing.mini_batches("nix")) == []


def test_jobs_newest_first_by_condition_and_page(engine: sa.Engine) -> None:
    store = PostgresJobStore(engine)
    for n in range(6):
        job = a_job(
            f"job-{n}", created_at=NOW + timedelta(seconds=n), endpoint_name="pumps" if n % 2 else "fans",
            schedule_name="s" if n > 3 else None, deployment=a_deployment(name="green" if n == 2 else "blue"),
        )  # fmt: skip
        store.add(job)
    store.save(store.get("job-1").moved(JobStatus.FAILED))
    listing = Listing(engine)

    def names(**conditions: object) -> list[str]:
        return [job.name.removeprefix("job-") for job in listing.jobs(**conditions)]  # type: ignore[arg-type]

    assert names() == ["5", "4", "3", "2", "1", "0"]
    assert names(limit=2, offset=1) == ["4", "3"]
    assert names(endpoint_name="pumps") == ["5", "3", "1"]
    assert names(deployment_name="green") == ["2"]
    assert names(schedule_name="s", endpoint_name="fans") == ["4"]
    assert names(statuses=[JobStatus.FAILED]) == ["1"]
    assert names(statuses=[JobStatus.QUEUED, JobStatus.FAILED], limit=1) == ["5"]
    assert list(listing.jobs()) == [store.get(f"job-{n}") for n in reversed(range(6))]


def test_archived_jobs_by_condition_and_jobs_of_older_stacks_are_not_archived(engine: sa.Engine) -> None:
    store = PostgresJobStore(engine)
    for n in range(3):
        store.add(a_job(f"job-{n}", created_at=NOW + timedelta(seconds=n)))
    store.annotate(replace(store.get("job-1"), archived=True))
    older = "update jobs set document = document - 'archived' - 'usage' - 'round' - 'properties' where name = 'job-0'"
    with engine.begin() as connection:
        connection.execute(sa.text(older))
    listing = Listing(engine)
    assert [job.name for job in listing.jobs(archived=False)] == ["job-2", "job-0"]
    assert [job.name for job in listing.jobs(archived=True)] == ["job-1"]
    assert [job.name for job in listing.jobs()] == ["job-2", "job-1", "job-0"]
    assert store.get("job-0") == a_job("job-0")


def test_mini_batches_in_order_with_their_ends(engine: sa.Engine) -> None:
    store = PostgresJobStore(engine)
    job = store.save(store.add(a_job()).moved(JobStatus.PREPARING), manifest=a_manifest(mini_batches=12))
    store.record(job, [a_result(10)])
    listed = Listing(engine).mini_batches("job-1")
    assert tuple(one.mini_batch for one in listed) == a_manifest(mini_batches=12).mini_batches
    assert [(one.mini_batch.index, one.result) for one in listed if one.result] == [(10, a_result(10))]
    assert [one.ended_at is not None for one in listed].count(True) == 1
    assert [one.mini_batch.index for one in Listing(engine).mini_batches("job-1", limit=2, offset=9)] == [9, 10]


def test_the_catalog_and_schedules_by_name(engine: sa.Engine) -> None:
    catalog, listing = PostgresCatalog(engine), Listing(engine)
    for name in ("b", "a"):
        catalog.put(Compute(name=name))
        catalog.put(Endpoint(name=name))
        catalog.put(a_deployment(endpoint_name="b", name=name) if name == "b" else a_deployment(endpoint_name="a"))
        for version in ("9", "10"):
            catalog.put(Model(name=name, version=version, path="/", content_hash="h", created_at=NOW))
        PostgresScheduleStore(engine).save(a_schedule(name))
    assert [one.name for one in listing.computes()] == ["a", "b"]
    assert [one.name for one in listing.endpoints()] == ["a", "b"]
    assert [(one.endpoint_name, one.name) for one in listing.deployments("a")] == [("a", "blue")]
    assert [(one.name, one.version) for one in listing.models()] == [("a", "10"), ("a", "9"), ("b", "10"), ("b", "9")]
    assert [one.version for one in listing.models("b")] == ["10", "9"]
    assert list(listing.schedules()) == [a_schedule("a"), a_schedule("b")]
