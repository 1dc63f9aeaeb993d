"""What sinks and finisher must do with a job that was taken up again: new rows in the place of the old, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from scoring.errors import Conflict
from scoring.job import JobOutput, JobStatus
from storage.postgres.job_store import PostgresJobStore
from storage.sinks.delta_predictions import DeltaPredictions
from storage.sinks.output_file import OutputFile
from storage.sinks.places import Places
from storage.sinks.postgres_predictions import PostgresFinisher
from tests.contract.test_outputs import Scored, database_rows, lake_rows


def retried(scored: Scored, folder: Path) -> Scored:
    """The same job, another round: mini-batch 1 ended otherwise this time, with one row."""
    again = Scored(folder / "again", output=scored.job.output, name=scored.job.name)
    again.job = replace(scored.job, round=1)
    kept = [result for result in scored.results if result.index == 0]
    path = Path(str(again.results[0].rows_path))
    path.write_text("retried\n")
    scored_0 = Path(str(again.results[1].rows_path)).with_suffix(".arrow")
    path.with_suffix(".arrow").write_bytes(scored_0.read_bytes())
    again.results = [*kept, again.results[0]]
    return again


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(lake=tmp_path / "lake", jobs=tmp_path / "jobs")


class TestOutputFileAgain:
    def test_the_jobs_own_file_is_written_anew(self, places: Places, tmp_path: Path) -> None:
        sink = OutputFile(places)
        first = Scored(tmp_path)
        first.commit(sink)
        again = retried(first, tmp_path)
        target = tmp_path / "out" / again.job.deployment.output_file_name
        for _ in range(2):
            again.commit(sink)
            assert target.read_text().splitlines() == ["0 first", "0 second", "retried"]
        assert [path.name for path in target.parent.iterdir()] == [target.name]

    def test_a_file_that_was_changed_since_is_not_replaced(self, places: Places, tmp_path: Path) -> None:
        sink = OutputFile(places)
        first = Scored(tmp_path)
        first.commit(sink)
        target = tmp_path / "out" / first.job.deployment.output_file_name
        target.write_text("mine\n")
        with pytest.raises(Conflict, match="exists already"):
            retried(first, tmp_path).commit(sink)
        assert target.read_text() == "mine\n"

    def test_a_crash_before_the_new_file_got_its_name_is_made_good(
        self, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sink = OutputFile(places)
        first = Scored(tmp_path)
        first.commit(sink)
        again = retried(first, tmp_path)

        def crash(*args: object, **more: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("storage.sinks.output_file._name", crash)
            with pytest.raises(KeyboardInterrupt):
                again.commit(sink)
        target = tmp_path / "out" / first.job.deployment.output_file_name
        assert target.read_text().splitlines()[-1] == "1 second"
        again.commit(sink)
        assert target.read_text().splitlines() == ["0 first", "0 second", "retried"]


class TestDeltaPredictionsAgain:
    def test_the_jobs_rows_are_replaced_in_one_commit_and_others_stay(self, places: Places, tmp_path: Path) -> None:
        sink = DeltaPredictions(places)
        other = Scored(tmp_path / "o", name="other's job", output=JobOutput(predictions=True))
        first = Scored(tmp_path, output=JobOutput(predictions=True))
        other.commit(sink)
        first.commit(sink)
        again = retried(first, tmp_path)
        for _ in range(2):
            again.commit(sink)
        own = [row for row in lake_rows(places.lake) if row["job_name"] == first.job.name]
        assert [(row["mini_batch"], row["score"]) for row in own] == [(0, 0.5), (0, None), (1, 0.5), (1, None)]
        assert len([row for row in lake_rows(places.lake) if row["job_name"] == "other's job"]) == 4
        first.commit(sink)  # who missed that the job was taken up again changes nothing
        assert len(lake_rows(places.lake)) == 8

    def test_a_first_commit_of_a_later_round_adds(self, places: Places, tmp_path: Path) -> None:
        sink = DeltaPredictions(places)
        again = Scored(tmp_path, output=JobOutput(predictions=True))
        again.job = replace(again.job, round=2)
        again.commit(sink)
        again.commit(sink)
        assert len(lake_rows(places.lake)) == 4


@pytest.mark.stack
def test_the_finisher_puts_new_predictions_in_the_place_of_the_old(engine: sa.Engine, tmp_path: Path) -> None:
    store, finisher = PostgresJobStore(engine), PostgresFinisher(engine)
    first = Scored(tmp_path, output=JobOutput(predictions=True))
    store.add(first.job)
    for scored in (first, retried(first, tmp_path)):
        if scored is not first:
            again = store.reopen(first.job.name, lambda job, manifest, results: _again(job))
            assert again.round == 1
        job = store.claim("me", timedelta(minutes=1))
        assert job is not None
        for status in (JobStatus.PREPARING, JobStatus.FINALIZING):
            job = store.save(job.moved(status))
        assert finisher.finish(job, scored.manifest, scored.results).status is JobStatus.COMPLETED
    rows = database_rows(engine)
    assert [(row["mini_batch"], row["row"]) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [row["score"] for row in rows] == [0.5, None, 0.5, None]


def _again(job):  # type: ignore[no-untyped-def]
    from scoring.reopening import Reopening

    reopened = replace(job, status=JobStatus.QUEUED, round=1, lease_epoch=job.lease_epoch + 1, ended_at=None)
    return Reopening(job=reopened)
