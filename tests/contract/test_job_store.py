"""What every JobStore must do: the queue of jobs, leases with their fence, results that are never lost or doubled."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from scoring.errors import Conflict, LeaseLost, NotFound, TryAgain
from scoring.job import JobProgress, JobStatus
from scoring.minibatch import MiniBatchOutcome
from scoring.ports import JobStore
from storage.postgres.engine import create_engine
from storage.postgres.job_store import PostgresJobStore
from tests.contract.memory import MemoryJobStore
from tests.contract.values import NOW, a_job, a_manifest, a_result

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=40)


def expire() -> None:
    time.sleep(SHORT.total_seconds() * 2)


class JobStoreContract:
    @pytest.fixture
    def store(self) -> JobStore:
        raise NotImplementedError

    # --- add, get -----------------------------------------------------------------------------------------------

    def test_a_job_comes_back_as_it_was_added(self, store: JobStore) -> None:
        job = a_job(schedule_name="nightly", fire_time=NOW, tags={"a": "b"})
        assert store.add(job) == job
        assert store.get(job.name) == job

    def test_a_job_without_a_time_of_creation_gets_one(self, store: JobStore) -> None:
        created = store.add(a_job(created_at=None)).created_at
        assert created is not None
        assert created.utcoffset() == timedelta(0)

    def test_get_of_an_unknown_job_is_not_found(self, store: JobStore) -> None:
        with pytest.raises(NotFound, match="job-9"):
            store.get("job-9")

    def test_the_same_idempotency_key_returns_the_job_that_it_made(self, store: JobStore) -> None:
        first = store.add(a_job("job-1"), idempotency_key="k")
        assert store.add(a_job("job-2"), idempotency_key="k") == first
        assert store.add(a_job("job-3"), idempotency_key="other").name == "job-3"
        with pytest.raises(NotFound):
            store.get("job-2")

    def test_the_same_key_at_the_same_time_makes_one_job(self, store: JobStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            added = list(pool.map(lambda n: store.add(a_job(f"job-{n}"), idempotency_key="k"), range(16)))
        assert len({job.name for job in added}) == 1

    def test_a_fire_time_of_a_schedule_makes_one_job(self, store: JobStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            added = list(pool.map(lambda n: store.add(a_job(f"job-{n}", schedule_name="s", fire_time=NOW)), range(16)))
        assert len({job.name for job in added}) == 1
        later = store.add(a_job("later", schedule_name="s", fire_time=NOW + timedelta(seconds=1)))
        assert later.name == "later"

    def test_a_taken_name_is_a_conflict(self, store: JobStore) -> None:
        store.add(a_job("job-1"))
        with pytest.raises(Conflict, match="job-1"):
            store.add(a_job("job-1"))

    # --- claim --------------------------------------------------------------------------------------------------

    def test_nothing_waiting_nothing_claimed(self, store: JobStore) -> None:
        assert store.claim("me", LONG) is None

    def test_the_oldest_is_claimed_first_and_once(self, store: JobStore) -> None:
        store.add(a_job("newer", created_at=NOW + timedelta(seconds=1)))
        store.add(a_job("older", created_at=NOW))
        first = store.claim("me", LONG)
        assert first is not None
        assert (first.name, first.lease_owner, first.lease_epoch) == ("older", "me", 1)
        assert first.lease_until is not None
        second = store.claim("you", LONG)
        assert second is not None
        assert second.name == "newer"
        assert store.claim("me", LONG) is None

    def test_a_lease_that_ended_is_claimed_again_with_a_higher_epoch(self, store: JobStore) -> None:
        store.add(a_job())
        store.claim("me", SHORT)
        expire()
        again = store.claim("you", LONG)
        assert again is not None
        assert (again.lease_owner, again.lease_epoch) == ("you", 2)

    def test_a_renewed_lease_is_not_claimed(self, store: JobStore) -> None:
        store.add(a_job())
        mine = store.claim("me", SHORT)
        assert mine is not None
        store.save(mine, renew=LONG)
        expire()
        assert store.claim("you", LONG) is None

    def test_a_lease_given_up_is_claimed_at_once(self, store: JobStore) -> None:
        store.add(a_job())
        mine = store.claim("me", LONG)
        assert mine is not None
        store.save(mine, renew=timedelta(0))
        assert store.claim("you", LONG) is not None

    @pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELED])
    def test_an_ended_job_is_never_claimed(self, store: JobStore, end: JobStatus) -> None:
        job = store.add(a_job())
        store.save(job.moved(end))
        assert store.claim("me", LONG) is None

    def test_a_job_whose_cancel_was_asked_for_is_claimed(self, store: JobStore) -> None:
        """Somebody must bring it to its end."""
        job = store.add(a_job())
        store.save(job.moved(JobStatus.CANCEL_REQUESTED))
        claimed = store.claim("me", LONG)
        assert claimed is not None
        assert claimed.status is JobStatus.CANCEL_REQUESTED

    def test_a_cluster_to_avoid_is_avoided_but_for_a_cancel(self, store: JobStore) -> None:
        for number, name in enumerate(("full", "free", "full-too")):
            at = replace(a_job(name), created_at=NOW + timedelta(seconds=number))
            store.add(replace(at, deployment=replace(at.deployment, compute=name.removesuffix("-too"))))
        claimed = store.claim("me", LONG, avoid=["full"])
        assert claimed is not None
        assert claimed.name == "free"
        assert store.claim("me", LONG, avoid=["full"]) is None
        store.save(replace(store.get("full-too"), status=JobStatus.CANCEL_REQUESTED))
        canceled = store.claim("me", LONG, avoid=["full"])
        assert canceled is not None
        assert canceled.name == "full-too"
        waiting = store.claim("me", LONG)
        assert waiting is not None
        assert waiting.name == "full"

    def test_two_claimers_never_get_the_same_job(self, store: JobStore) -> None:
        for n in range(30):
            store.add(a_job(f"job-{n}"))
        start = threading.Barrier(6)

        def claim_all(owner: int) -> list[str]:
            start.wait(10)
            names = []
            while (job := store.claim(f"runner-{owner}", LONG)) is not None:
                names.append(job.name)
            return names

        with ThreadPoolExecutor(6) as pool:
            claimed = Counter(name for names in pool.map(claim_all, range(6)) for name in names)
        # a claimer that meets only locked rows may leave early: what is left is claimed now
        while (job := store.claim("last", LONG)) is not None:
            claimed[job.name] += 1
        assert claimed == Counter({f"job-{n}": 1 for n in range(30)})

    # --- save ---------------------------------------------------------------------------------------------------

    def test_what_is_saved_is_read(self, store: JobStore) -> None:
        store.add(a_job())
        mine = store.claim("me", LONG)
        assert mine is not None
        counted = JobProgress(
            mini_batches=3, mini_batches_done=1, items=21, items_succeeded=6, items_failed=1, retries=1
        )
        changed = replace(
            mine.moved(JobStatus.PREPARING, reason="listing the input"),
            progress=counted,
            input=replace(mine.input, to_version=9),
            error="Traceback …\nValueError: x",
            started_at=NOW,
        )
        assert store.save(changed) == changed
        assert store.get(mine.name) == changed

    def test_an_old_epoch_is_refused_and_writes_nothing(self, store: JobStore) -> None:
        store.add(a_job())
        old = store.claim("me", SHORT)
        assert old is not None
        running = store.save(old.moved(JobStatus.PREPARING), manifest=a_manifest())
        expire()
        new = store.claim("you", LONG)
        assert new is not None
        for write in (
            lambda: store.save(running.moved(JobStatus.FAILED)),
            lambda: store.save(running, renew=LONG),
            lambda: store.record(running, [a_result(0)]),
        ):
            with pytest.raises(LeaseLost):
                write()
        assert store.get("job-1") == new
        assert store.manifest(new) == (a_manifest(), [])

    def test_a_cancel_that_was_asked_for_is_never_overwritten(self, store: JobStore) -> None:
        store.add(a_job())
        mine = store.claim("me", LONG)
        assert mine is not None
        running = store.save(mine.moved(JobStatus.PREPARING))
        store.save(store.get("job-1").moved(JobStatus.CANCEL_REQUESTED, reason="by somebody"))
        seen = store.save(replace(running.moved(JobStatus.RUNNING), progress=JobProgress(items=5)), renew=LONG)
        assert (seen.status, seen.status_reason) == (JobStatus.CANCEL_REQUESTED, "by somebody")
        assert seen.progress.items == 5
        assert store.save(seen.moved(JobStatus.CANCELED)).status is JobStatus.CANCELED

    def test_a_cancel_comes_too_late_for_a_job_that_is_finalizing(self, store: JobStore) -> None:
        store.add(a_job())
        mine = store.claim("me", LONG)
        assert mine is not None
        preparing = store.save(mine.moved(JobStatus.PREPARING))
        running = store.save(preparing.moved(JobStatus.RUNNING))
        seen_before = store.get("job-1")
        store.save(running.moved(JobStatus.FINALIZING, reason="writing"))
        answer = store.save(seen_before.moved(JobStatus.CANCEL_REQUESTED))
        assert (answer.status, answer.status_reason) == (JobStatus.FINALIZING, "writing")

    def test_an_ended_job_is_left_as_it_is(self, store: JobStore) -> None:
        job = store.add(a_job())
        ended = store.save(job.moved(JobStatus.FAILED, reason="broken"))
        assert store.save(job.moved(JobStatus.PREPARING), renew=LONG) == ended
        assert store.get(job.name) == ended
        assert (ended.lease_owner, ended.lease_until) == (None, None)

    def test_saving_an_unknown_job_is_not_found(self, store: JobStore) -> None:
        with pytest.raises(NotFound):
            store.save(a_job("job-9"))

    # --- manifest and results -----------------------------------------------------------------------------------

    def test_before_planning_there_is_no_manifest(self, store: JobStore) -> None:
        assert store.manifest(store.add(a_job())) == (None, [])

    def test_the_manifest_comes_back_whole(self, store: JobStore) -> None:
        job = store.add(a_job())
        manifest = a_manifest(mini_batches=120)
        store.save(job.moved(JobStatus.PREPARING), manifest=manifest)
        found, results = store.manifest(job)
        assert found == manifest
        assert found is not None
        assert found.fingerprint == manifest.fingerprint
        assert list(results) == []

    def test_an_empty_manifest_is_a_manifest(self, store: JobStore) -> None:
        job = store.add(a_job())
        store.save(job.moved(JobStatus.PREPARING), manifest=a_manifest(mini_batches=0))
        assert store.manifest(job) == (a_manifest(mini_batches=0), [])

    def test_results_come_back_and_the_first_of_two_counts(self, store: JobStore) -> None:
        job = store.save(store.add(a_job()).moved(JobStatus.PREPARING), manifest=a_manifest())
        failed = a_result(
            2, outcome=MiniBatchOutcome.FAILED, rows_path=None, rows=0, worker=None, error="boom", traceback="Tr…\nboom"
        )
        assert store.record(job, [a_result(0)]) == job
        store.record(job, [a_result(0, tries=9), failed])
        store.record(job, [])
        manifest, results = store.manifest(job)
        assert sorted(results, key=lambda r: r.index) == [a_result(0), failed]
        assert manifest is not None
        assert [m.index for m in manifest.remaining([r.index for r in results])] == [1]

    def test_a_result_sees_a_cancel(self, store: JobStore) -> None:
        job = store.save(store.add(a_job()).moved(JobStatus.PREPARING), manifest=a_manifest())
        store.save(job.moved(JobStatus.CANCEL_REQUESTED))
        assert store.record(job, [a_result(0)]).status is JobStatus.CANCEL_REQUESTED


class TestMemoryJobStore(JobStoreContract):
    @pytest.fixture
    def store(self) -> JobStore:
        return MemoryJobStore()


@pytest.mark.stack
class TestPostgresJobStore(JobStoreContract):
    @pytest.fixture
    def store(self, engine: sa.Engine) -> JobStore:
        return PostgresJobStore(engine)

    def test_texts_that_postgres_has_no_place_for_are_spelled_out(self, store: JobStore) -> None:
        job = store.save(store.add(a_job(tags={"n\0": "x\0y"})).moved(JobStatus.PREPARING), manifest=a_manifest())
        store.record(job, [a_result(0, error="a\0b \udcff", traceback="\ud800")])
        _, (result,) = store.manifest(job)
        assert (result.error, result.traceback) == ("a\\x00b \\udcff", "\\ud800")
        ended = store.save(replace(job.moved(JobStatus.FAILED, reason="why\0"), error="\0"))
        assert (ended.status_reason, ended.error, dict(ended.tags)) == ("why\\x00", "\\x00", {"n\\x00": "x\\x00y"})

    def test_another_manifest_is_refused_the_same_one_is_not(self, store: JobStore) -> None:
        job = store.save(store.add(a_job()).moved(JobStatus.PREPARING), manifest=a_manifest())
        store.record(job, [a_result(1)])
        store.save(job, manifest=a_manifest())
        with pytest.raises(Conflict, match="planned once"):
            store.save(job, manifest=a_manifest(mini_batches=2))
        assert store.manifest(job) == (a_manifest(), [a_result(1)])

    def test_nothing_of_an_ended_job_changes(self, store: JobStore) -> None:
        job = store.save(store.add(a_job()).moved(JobStatus.PREPARING), manifest=a_manifest())
        ended = store.save(job.moved(JobStatus.FAILED))
        assert ended.ended_at is not None
        assert store.record(job, [a_result(0)]) == ended
        assert store.manifest(job) == (a_manifest(), [])

    def test_a_cancel_with_an_old_view_keeps_what_the_runner_wrote(self, store: JobStore) -> None:
        store.add(a_job())
        mine = store.claim("me", LONG)
        assert mine is not None
        old_view = store.save(mine.moved(JobStatus.PREPARING))
        store.save(replace(old_view.moved(JobStatus.RUNNING), progress=JobProgress(items=5), started_at=NOW))
        store.save(old_view.moved(JobStatus.CANCEL_REQUESTED))
        kept = store.get("job-1")
        assert (kept.status, kept.progress.items, kept.started_at) == (JobStatus.CANCEL_REQUESTED, 5, NOW)

    def test_a_claim_does_not_wait_for_a_row_that_is_being_written(self, store: JobStore, engine: sa.Engine) -> None:
        store.add(a_job("locked"))
        store.add(a_job("free", created_at=NOW + timedelta(seconds=1)))
        with engine.begin() as connection:
            connection.execute(sa.text("select 1 from jobs where name = 'locked' for update"))
            claimed = store.claim("me", LONG)
        assert claimed is not None
        assert claimed.name == "free"


@pytest.mark.stack
def test_a_database_that_is_away_asks_to_try_again() -> None:
    store = PostgresJobStore(create_engine("postgresql://tidemill:secret-word@127.0.0.1:1/none"))
    with pytest.raises(TryAgain) as raised:
        store.claim("me", LONG)
    assert "secret-word" not in str(raised.value)
