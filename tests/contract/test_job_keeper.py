"""What every JobKeeper must do: the user's own fields, ended jobs taken up again, leases of the dead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import pytest
import sqlalchemy as sa

from scoring.errors import Conflict, LeaseLost, NotFound
from scoring.job import Job, JobProgress, JobStatus, JobUsage
from scoring.minibatch import MiniBatchOutcome
from scoring.ports import JobKeeper, JobStore
from scoring.reopening import Reopening, resumed, retried
from storage.postgres.job_store import PostgresJobStore
from tests.contract.memory import MemoryJobStore
from tests.contract.values import NOW, a_job, a_manifest, a_result

LONG = timedelta(minutes=1)
FAILED = MiniBatchOutcome.FAILED


class Store(JobStore, JobKeeper, Protocol):
    """Both ports are one store's: they change the same rows."""


def claimed(store: Store, owner: str = "me") -> Job:
    job = store.claim(owner, LONG)
    assert job is not None
    return job


def ended(store: Store, status: JobStatus, *results: int) -> Job:
    """A job of three mini-batches, ended: those named succeeded whole, the last one that ended failed."""
    store.add(a_job())
    job = store.save(claimed(store).moved(JobStatus.PREPARING), manifest=a_manifest())
    job = store.save(replace(job.moved(JobStatus.RUNNING), usage=JobUsage(worker_seconds=2.5, processes=2)))
    for index in results[:-1]:
        store.record(job, [a_result(index, failed=0)])
    store.record(job, [a_result(results[-1], outcome=FAILED, succeeded=0, failed=7, rows_path=None, rows=0)])
    if status is JobStatus.COMPLETED:
        job = store.save(job.moved(JobStatus.FINALIZING))
    return store.save(replace(job.moved(status, reason="it ended"), error="Traceback", ended_at=NOW))


class JobKeeperContract:
    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    # --- annotate -----------------------------------------------------------------------------------------------

    def test_the_users_fields_are_written_and_no_others(self, store: Store) -> None:
        stored = store.add(a_job())
        users = {
            "display_name": "other", "description": "why", "tags": {"b": "c"}, "properties": {"p": "q"},
            "archived": True,
        }  # fmt: skip
        changed = replace(stored, **users, status=JobStatus.FAILED, status_reason="never", round=9)
        assert store.annotate(changed) == replace(stored, **users)
        assert store.get(stored.name) == replace(stored, **users)

    def test_a_runner_with_an_older_view_does_not_undo_them(self, store: Store) -> None:
        store.add(a_job())
        mine = claimed(store)
        store.annotate(replace(mine, tags={"new": "tag"}, archived=True))
        seen = store.save(replace(mine.moved(JobStatus.PREPARING), progress=JobProgress(items=5)), renew=LONG)
        assert (dict(seen.tags), seen.archived, seen.progress.items) == ({"new": "tag"}, True, 5)
        assert store.get(mine.name) == seen

    def test_an_ended_job_may_be_annotated(self, store: Store) -> None:
        job = ended(store, JobStatus.FAILED, 0)
        assert store.annotate(replace(job, archived=True)) == replace(job, archived=True)

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.annotate(a_job("job-9"))
        with pytest.raises(NotFound):
            store.reopen("job-9", resumed)

    # --- reopen -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELED])
    def test_a_resumed_job_keeps_what_ended(self, store: Store, end: JobStatus) -> None:
        job = ended(store, end, 0, 1)
        again = store.reopen(job.name, resumed)
        assert (again.status, again.error, again.ended_at, again.round) == (JobStatus.QUEUED, None, None, 1)
        assert again.usage == JobUsage(worker_seconds=2.5, processes=2)
        assert store.get(job.name) == again
        manifest, results = store.manifest(again)
        assert manifest == a_manifest()
        assert sorted(result.index for result in results) == [0, 1]
        assert claimed(store, "you").lease_epoch == again.lease_epoch + 1

    def test_a_retried_job_forgets_failed_ends(self, store: Store) -> None:
        job = ended(store, JobStatus.COMPLETED, 0, 1, 2)
        again = store.reopen(job.name, retried)
        _, results = store.manifest(again)
        assert sorted(result.index for result in results) == [0, 1]
        assert again.progress.mini_batches_done == 2
        store.record(again, [a_result(2, failed=0, tries=1)])
        _, results = store.manifest(again)
        assert [result.tries for result in results if result.index == 2] == [1]

    def test_who_held_the_job_before_its_end_is_fenced(self, store: Store) -> None:
        job = ended(store, JobStatus.CANCELED, 0, 1)
        store.reopen(job.name, resumed)
        for write in (
            lambda: store.save(replace(job, status=JobStatus.PREPARING)),
            lambda: store.record(job, [a_result(2)]),
        ):
            with pytest.raises(LeaseLost):
                write()

    def test_a_refusal_changes_nothing(self, store: Store) -> None:
        job = ended(store, JobStatus.COMPLETED, 0, 1, 2)
        before = store.manifest(job)
        with pytest.raises(Conflict, match="Completed"):
            store.reopen(job.name, resumed)
        assert store.get(job.name) == job
        assert store.manifest(job) == before

    def test_a_job_that_needs_no_reopening_is_left_alone(self, store: Store) -> None:
        store.add(a_job())
        mine = claimed(store)
        assert store.reopen(mine.name, lambda job, manifest, results: Reopening(job=None)) == mine
        assert store.get(mine.name) == mine

    # --- release ------------------------------------------------------------------------------------------------

    def test_the_dead_ones_job_is_claimed_at_once_and_fenced(self, store: Store) -> None:
        store.add(a_job("mine"))
        store.add(a_job("dead"))
        jobs = [claimed(store, "alive"), claimed(store, "dead")]
        asked: list[str] = []

        def is_gone(owner: str) -> bool:
            asked.append(owner)
            return owner == "dead"

        assert list(store.release(is_gone)) == [jobs[1].name]
        assert sorted(asked) == ["alive", "dead"]
        again = claimed(store, "heir")
        assert (again.name, again.lease_epoch) == (jobs[1].name, 2)
        assert store.claim("heir", LONG) is None
        with pytest.raises(LeaseLost):
            store.record(jobs[1], [])

    def test_ended_jobs_and_unleased_ones_ask_nobody(self, store: Store) -> None:
        ended(store, JobStatus.FAILED, 0)
        store.add(a_job("waits"))
        assert list(store.release(lambda owner: pytest.fail(f"asked for {owner}"))) == []


class TestMemoryJobKeeper(JobKeeperContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryJobStore()


@pytest.mark.stack
class TestPostgresJobKeeper(JobKeeperContract):
    @pytest.fixture
    def store(self, engine: sa.Engine) -> Store:
        return PostgresJobStore(engine)
