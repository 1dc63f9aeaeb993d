"""What every store of pipelines keeps to: one move at a time, whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from scoring.components.declared import ValueType
from scoring.errors import Conflict, NotFound
from scoring.job import Job, JobKind, JobStatus, NamedOutput
from scoring.pipeline.advance import Advance, advanced
from scoring.pipeline.conductor import PipelineStore
from scoring.pipeline.planning import new_pipeline_job
from scoring.ports import JobStore
from storage.postgres.engine import create_engine
from storage.postgres.job_store import PostgresJobStore
from storage.postgres.migrate import upgrade
from storage.postgres.pipeline_store import PostgresPipelineStore
from tests.contract.memory import MemoryJobStore
from tests.contract.memory_pipelines import MemoryPipelineStore, a_pipeline, a_step
from tests.contract.values import NOW, a_job

Stores = tuple[JobStore, PipelineStore]


def going_on(parent: Job, children: Sequence[Job]) -> Advance:
    return advanced(parent, children, now=NOW)


def begun(stores: Stores, name: str = "p") -> Advance:
    jobs, pipelines = stores
    jobs.add(new_pipeline_job(name, a_pipeline(a_step("first"), a_step("second", after=["first"])), now=NOW))
    pipelines.advance(name, going_on)
    return pipelines.advance(name, going_on)


class PipelineStoreContract:
    @pytest.fixture
    def stores(self) -> Stores:
        raise NotImplementedError

    def test_a_move_is_stored_whole(self, stores: Stores) -> None:
        jobs, _ = stores
        at = begun(stores)
        assert at.parent == jobs.get("p")
        assert [child.name for child in at.changed] == ["p.first", "p.second"]
        assert [jobs.get(child.name) for child in at.changed] == list(at.changed)
        assert [child.status for child in at.changed] == [JobStatus.QUEUED, JobStatus.NOT_STARTED]

    def test_only_steps_that_may_start_are_claimed_and_never_the_pipeline(self, stores: Stores) -> None:
        jobs, _ = stores
        begun(stores)
        claimed = jobs.claim("me", timedelta(minutes=1))
        assert claimed is not None
        assert claimed.name == "p.first"
        assert jobs.claim("me", timedelta(minutes=1)) is None

    def test_what_a_runner_wrote_of_a_step_is_seen_by_the_next_move(self, stores: Stores) -> None:
        jobs, pipelines = stores
        begun(stores)
        job = jobs.claim("me", timedelta(minutes=1))
        assert job is not None
        for status in (JobStatus.PREPARING, JobStatus.RUNNING, JobStatus.FINALIZING):
            job = jobs.save(job.moved(status))
        outputs = {"out": NamedOutput(type=ValueType.URI_FOLDER, path="/somewhere")}
        jobs.save(replace(job.moved(JobStatus.COMPLETED), outputs=outputs, fingerprint="f"))
        at = pipelines.advance("p", going_on)
        second = at.changed[1]
        assert second.status is JobStatus.QUEUED
        assert second.command is not None
        assert str(second.command.inputs["first"]).count("/somewhere") == 1

    def test_a_step_that_runs_is_asked_to_end_and_keeps_what_its_runner_wrote(self, stores: Stores) -> None:
        jobs, pipelines = stores
        begun(stores)
        job = jobs.claim("me", timedelta(minutes=1))
        assert job is not None
        jobs.save(replace(job.moved(JobStatus.PREPARING), fingerprint="f"))
        jobs.save(jobs.get("p").moved(JobStatus.CANCEL_REQUESTED))
        at = pipelines.advance("p", going_on)
        assert [child.status for child in at.changed] == [JobStatus.CANCEL_REQUESTED, JobStatus.CANCELED]
        assert at.changed[0].fingerprint == "f"
        assert at.changed[0].lease_owner == "me"

    def test_pipelines_that_go_on_are_listed_oldest_first(self, stores: Stores) -> None:
        jobs, pipelines = stores
        later = replace(new_pipeline_job("later", a_pipeline(a_step("a")), now=NOW + timedelta(seconds=1)))
        jobs.add(later)
        jobs.add(new_pipeline_job("sooner", a_pipeline(a_step("a")), now=NOW))
        jobs.add(a_job("no-pipeline"))
        waits = replace(new_pipeline_job("waits", a_pipeline(a_step("a")), now=NOW), status=JobStatus.NOT_STARTED)
        jobs.add(waits)
        assert list(pipelines.going()) == ["sooner", "later"]
        jobs.save(jobs.get("sooner").moved(JobStatus.CANCELED))
        assert list(pipelines.going()) == ["later"]

    def test_a_name_that_is_taken_changes_nothing(self, stores: Stores) -> None:
        jobs, pipelines = stores
        jobs.add(a_job("p.second"))
        jobs.add(new_pipeline_job("p", a_pipeline(a_step("first"), a_step("second")), now=NOW))
        with pytest.raises(Conflict, match=r"p\.second"):
            pipelines.advance("p", going_on)
        assert jobs.get("p").status is JobStatus.QUEUED
        with pytest.raises(NotFound):
            jobs.get("p.first")

    def test_an_unknown_pipeline_is_not_found(self, stores: Stores) -> None:
        with pytest.raises(NotFound):
            stores[1].advance("absent", going_on)

    def test_moves_at_the_same_time_make_each_step_once(self, stores: Stores) -> None:
        jobs, pipelines = stores
        jobs.add(new_pipeline_job("p", a_pipeline(a_step("first"), a_step("second")), now=NOW))
        barrier, failed = threading.Barrier(4), []

        def go() -> None:
            barrier.wait()
            try:
                for _ in range(3):
                    pipelines.advance("p", going_on)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=go) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failed
        assert [child.kind for child in pipelines.advance("p", going_on).changed] == [JobKind.COMMAND] * 2


class TestMemory(PipelineStoreContract):
    @pytest.fixture
    def stores(self) -> Stores:
        jobs = MemoryJobStore()
        return jobs, MemoryPipelineStore(jobs)


@pytest.mark.stack
class TestPostgres(PipelineStoreContract):
    @pytest.fixture
    def stores(self, database_url: str) -> Iterator[Stores]:
        engine = create_engine(database_url)
        upgrade(engine)
        yield PostgresJobStore(engine), PostgresPipelineStore(engine)
        engine.dispose()

    def test_completed_steps_with_a_fingerprint_are_found_the_newest_first(self, stores: Stores) -> None:
        jobs, pipelines = stores
        assert isinstance(pipelines, PostgresPipelineStore)
        for number, (status, taken) in enumerate(
            [
                (JobStatus.COMPLETED, None),
                (JobStatus.COMPLETED, "s0"),
                (JobStatus.FAILED, None),
                (JobStatus.COMPLETED, None),
            ]
        ):
            step = replace(
                a_job(f"s{number}"), kind=JobKind.COMMAND, status=status, fingerprint="f", reused_from=taken,
                ended_at=NOW + timedelta(seconds=number), parent="p",
            )  # fmt: skip
            jobs.add(step)
        assert [job.name for job in pipelines.reusable("f")] == ["s3", "s0"]
        assert list(pipelines.reusable("other")) == []
