"""What every OutputSink and JobFinisher must do: all rows of a job, once, however often they are asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable

from scoring.deployment import OutputAction, OutputFormat
from scoring.errors import Conflict, InvalidInput, JobFailed, LeaseLost, TryAgain
from scoring.job import Job, JobInput, JobInputType, JobOutput, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.ports import JobFinisher, JobStore, OutputSink, ScheduleStore
from storage.postgres.engine import create_engine
from storage.postgres.job_store import PostgresJobStore
from storage.postgres.schedule_store import PostgresScheduleStore
from storage.postgres.tables import predictions
from storage.sinks.delta_predictions import DeltaPredictions
from storage.sinks.output_file import OutputFile
from storage.sinks.places import Places, all_sinks
from storage.sinks.postgres_predictions import PostgresFinisher
from tests.contract.memory import MemoryFinisher, MemoryJobStore, MemoryScheduleStore, MemorySink
from tests.contract.values import NOW, a_deployment, a_job, a_result, a_schedule

LONG = timedelta(minutes=1)


class Scored:
    """A job whose mini-batches have ended: result files of two, and a third that failed."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.job = a_job(**{"output": JobOutput(path=str(folder / "out")), **changes})
        planned = tuple(
            MiniBatch(index=n, items=(InputItem(uri=f"/data/{n}", size_bytes=1, rows=2),)) for n in range(3)
        )
        self.manifest = Manifest(job_name=self.job.name, mini_batches=planned, from_version=3, to_version=9)
        results = folder / "jobs" / self.job.name / "results"
        results.mkdir(parents=True, exist_ok=True)
        self.results: list[MiniBatchResult] = []
        for index in (1, 0):  # the second was faster
            frame = pd.DataFrame(
                {
                    "machine_id": ["m1", "m2"],
                    "window_start": pd.to_datetime(["2026-03-28 23:59", "2026-03-29 00:00"], utc=True),
                    "window_end": pd.to_datetime(["2026-03-29 00:00", "2026-03-29 00:01"], utc=True),
                    "score": [index + 0.5, None],
                    "label": ["healthy", 'a "b",\nc'],
                    "surprise": ["flow", None],
                }
            )
            (results / f"{index}.txt").write_text(f"{index} first\n{index} second\n")
            with pa.OSFile(str(results / f"{index}.arrow"), "wb") as file:
                table = pa.Table.from_pandas(frame, preserve_index=False)
                with pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table)
            path = str(results / f"{index}.txt")
            self.results.append(a_result(index, rows_path=path, rows=2, succeeded=2, failed=0, items=2))
        self.results.append(a_result(2, outcome=MiniBatchOutcome.FAILED, rows_path=None, rows=0, error="boom"))

    def commit(self, sink: OutputSink) -> int:
        return sink.commit(self.job, self.manifest, self.results)


def lake_rows(lake: Path) -> list[dict[str, Any]]:
    return DeltaTable(str(lake / "predictions")).to_pyarrow_table().sort_by(
        [("job_name", "ascending"), ("mini_batch", "ascending"), ("row", "ascending")]
    ).drop_columns("date").to_pylist()  # fmt: skip


def database_rows(engine: sa.Engine) -> list[dict[str, Any]]:
    ordered = sa.select(predictions).order_by("job_name", "mini_batch", "row")
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(ordered).mappings()]


# --- sinks -------------------------------------------------------------------------------------------------------


class SinkContract:
    @pytest.fixture
    def sink(self, tmp_path: Path) -> OutputSink:
        raise NotImplementedError

    def lines(self, sink: OutputSink, tmp_path: Path) -> Sequence[str]:
        """What the sink holds, one text a row."""
        raise NotImplementedError

    def test_every_row_once_however_often_it_is_asked(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        sink.check(scored.job)
        assert scored.commit(sink) == 4
        first = self.lines(sink, tmp_path)
        assert len(first) == 4
        assert scored.commit(sink) == 4
        assert self.lines(sink, tmp_path) == first

    def test_a_job_without_rows_leaves_none(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        assert sink.commit(scored.job, scored.manifest, scored.results[2:]) == 0
        assert self.lines(sink, tmp_path) == []


class TestMemorySink(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> OutputSink:
        return MemorySink()

    def lines(self, sink: OutputSink, tmp_path: Path) -> Sequence[str]:
        assert isinstance(sink, MemorySink)
        return [line for lines in sink.rows.values() for line in lines]


class TestOutputFile(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> OutputSink:
        return OutputFile(Places(lake=tmp_path / "lake", jobs=tmp_path / "jobs"))

    def lines(self, sink: OutputSink, tmp_path: Path) -> Sequence[str]:
        return (tmp_path / "out" / "rows.csv").read_text().splitlines()

    def test_rows_are_in_the_order_of_the_manifest(self, sink: OutputSink, tmp_path: Path) -> None:
        Scored(tmp_path).commit(sink)
        assert self.lines(sink, tmp_path) == ["0 first", "0 second", "1 first", "1 second"]
        assert os.listdir(tmp_path / "out") == ["rows.csv"]

    def test_without_a_path_it_is_the_jobs_own_folder(self, sink: OutputSink, tmp_path: Path) -> None:
        Scored(tmp_path, output=JobOutput()).commit(sink)
        assert (tmp_path / "jobs" / "job-1" / "outputs" / "score" / "rows.csv").exists()

    def test_somebody_elses_file_is_a_conflict_early_and_late(self, sink: OutputSink, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        taken = tmp_path / "out" / "rows.csv"
        taken.write_text("precious")
        scored = Scored(tmp_path)
        with pytest.raises(Conflict, match=r"out/rows\.csv exists already"):
            sink.check(scored.job)
        with pytest.raises(Conflict):
            scored.commit(sink)
        assert taken.read_text() == "precious"
        assert os.listdir(tmp_path / "out") == ["rows.csv"]

    def test_a_file_is_replaced_whole_where_the_invocation_says_so(self, sink: OutputSink, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "rows.csv").write_text("older, and longer than what comes now" * 9)
        scored = Scored(tmp_path, output=JobOutput(path=str(tmp_path / "out"), overwrite=True))
        for _ in range(2):
            sink.check(scored.job)
            assert scored.commit(sink) == 4
        assert self.lines(sink, tmp_path) == ["0 first", "0 second", "1 first", "1 second"]
        assert os.listdir(tmp_path / "out") == ["rows.csv"]

    def test_a_folder_of_that_name_is_never_replaced(self, sink: OutputSink, tmp_path: Path) -> None:
        (tmp_path / "out" / "rows.csv").mkdir(parents=True)
        scored = Scored(tmp_path, output=JobOutput(path=str(tmp_path / "out"), overwrite=True))
        for ask in (lambda: sink.check(scored.job), lambda: scored.commit(sink)):
            with pytest.raises(Conflict, match="exists already"):
                ask()

    def test_columns_are_written_once_over_all_mini_batches(self, sink: OutputSink, tmp_path: Path) -> None:
        deployment = a_deployment(output_format=OutputFormat.CSV, output_file_name="rows.csv")
        scored = Scored(tmp_path, deployment=deployment)
        for result in scored.results[:2]:
            assert result.rows_path is not None
            Path(result.rows_path).unlink()
            Path(result.rows_path).with_suffix(".rows").write_text(f'["n", "word"]\n{result.index},first\n')
        for _ in range(2):
            assert scored.commit(sink) == 4
        assert self.lines(sink, tmp_path) == ["n,word", "0,first", "1,first"]

    def test_a_divided_mini_batch_gives_the_rows_of_its_parts_in_their_order(
        self, sink: OutputSink, tmp_path: Path
    ) -> None:
        scored = Scored(tmp_path)
        first = str(tmp_path / "jobs" / scored.job.name / "results" / "0.txt")
        other = first.replace("0.txt", "0.part.txt")
        Path(other).write_text("0 third\n")
        divided = [
            replace(result, parts=(first, other), rows=3) if result.index == 0 else result for result in scored.results
        ]
        assert sink.commit(scored.job, scored.manifest, divided) == 5
        assert self.lines(sink, tmp_path) == ["0 first", "0 second", "0 third", "1 first", "1 second"]

    def test_two_jobs_cannot_write_one_file(self, sink: OutputSink, tmp_path: Path) -> None:
        Scored(tmp_path).commit(sink)
        other = Scored(tmp_path, name="job-2")
        with pytest.raises(Conflict):
            sink.check(other.job)
        with pytest.raises(Conflict):
            other.commit(sink)

    def test_a_job_that_has_written_its_file_may_check_again(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        scored.commit(sink)
        sink.check(scored.job)

    def test_a_file_that_was_changed_since_is_no_longer_the_jobs(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        scored.commit(sink)
        with (tmp_path / "out" / "rows.csv").open("a") as file:
            file.write("more\n")
        with pytest.raises(Conflict):
            scored.commit(sink)

    def test_a_crash_before_the_file_got_its_name_is_made_good(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        scored.commit(sink)
        (tmp_path / "out" / "rows.csv").rename(tmp_path / "out" / ".rows.csv.job-1.tmp")  # as a crash leaves it
        assert scored.commit(sink) == 4
        assert os.listdir(tmp_path / "out") == ["rows.csv"]

    def test_a_result_file_that_is_gone_fails_the_job_and_writes_nothing(
        self, sink: OutputSink, tmp_path: Path
    ) -> None:
        scored = Scored(tmp_path)
        (tmp_path / "jobs" / "job-1" / "results" / "1.txt").unlink()
        with pytest.raises(JobFailed, match="mini-batch 1 is gone"):
            scored.commit(sink)
        assert not (tmp_path / "out" / "rows.csv").exists()

    def test_a_folder_that_cannot_be_made_is_refused_early(self, sink: OutputSink, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for path, reason in ((str(tmp_path / "file" / "sub"), "is a file"), ("out", "relative")):
            with pytest.raises(InvalidInput, match=reason) as raised:
                sink.check(Scored(tmp_path, output=JobOutput(path=path)).job)
            assert raised.value.place == "output.path"

    def test_summary_only_writes_no_file(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path, deployment=a_deployment(output_action=OutputAction.SUMMARY_ONLY))
        sink.check(scored.job)
        assert scored.commit(sink) == 0
        assert not (tmp_path / "out").exists()


class TestDeltaPredictions(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> OutputSink:
        return DeltaPredictions(Places(lake=tmp_path / "lake", jobs=tmp_path / "jobs"))

    def lines(self, sink: OutputSink, tmp_path: Path) -> Sequence[str]:
        return [str(row) for row in lake_rows(tmp_path / "lake")]

    def test_each_row_says_where_it_comes_from(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        scored.commit(sink)
        rows = lake_rows(tmp_path / "lake")
        assert [(row["mini_batch"], row["row"], row["score"]) for row in rows] == [
            (0, 0, 0.5), (0, 1, None), (1, 0, 1.5), (1, 1, None)
        ]  # fmt: skip
        first = dict(rows[0])
        scored_at = first.pop("scored_at")
        assert timedelta(0) <= datetime.now(UTC) - scored_at < timedelta(minutes=1)
        assert first == {
            "job_name": "job-1", "endpoint_name": "pumps", "deployment_name": "blue", "model_name": "net",
            "model_version": "7", "mini_batch": 0, "row": 0, "machine_id": "m1",
            "window_start": datetime(2026, 3, 28, 23, 59, tzinfo=UTC), "window_end": datetime(2026, 3, 29, tzinfo=UTC),
            "source": "lake://windows@3..9", "score": 0.5, "label": "healthy", "details": '{"surprise":"flow"}',
        }  # fmt: skip

    def test_rows_lie_in_the_partition_of_their_window(self, sink: OutputSink, tmp_path: Path) -> None:
        Scored(tmp_path).commit(sink)
        table = DeltaTable(str(tmp_path / "lake" / "predictions"))
        assert {str(day) for day in table.to_pyarrow_table()["date"].to_pylist()} == {"2026-03-28", "2026-03-29"}
        assert table.version() == 1  # the table's creation, and one commit for the job

    def test_jobs_on_files_only_where_predictions_are_asked_for(self, sink: OutputSink, tmp_path: Path) -> None:
        files = JobInput(type=JobInputType.URI_FOLDER, path="/data")
        assert Scored(tmp_path, input=files, output=JobOutput()).commit(sink) == 0
        assert not (tmp_path / "lake").exists()
        assert Scored(tmp_path, input=files, output=JobOutput(predictions=True)).commit(sink) == 4
        # one file and two rows of it
        assert {row["source"] for row in lake_rows(tmp_path / "lake")} == {"/data/0", "/data/1"}

    def test_rows_that_are_no_predictions_fail_the_job_and_leave_nothing(
        self, sink: OutputSink, tmp_path: Path
    ) -> None:
        scored = Scored(tmp_path)
        bad = pa.table({"score": ["high", "low"]})
        with (
            pa.OSFile(str(tmp_path / "jobs/job-1/results/1.arrow"), "wb") as file,
            pa.ipc.new_file(file, bad.schema) as w,
        ):
            w.write_table(bad)
        with pytest.raises(
            JobFailed, match=r"column score .* mini-batch 1 has string such as 'high'; numbers are wanted"
        ):
            scored.commit(sink)
        assert lake_rows(tmp_path / "lake") == []

    def test_two_at_a_time_write_once(self, sink: OutputSink, tmp_path: Path) -> None:
        scored = Scored(tmp_path)

        def again(_: int) -> int:
            while True:
                try:
                    return scored.commit(sink)
                except TryAgain:
                    continue

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(again, range(4))) == [4] * 4
        assert len(lake_rows(tmp_path / "lake")) == 4


# --- finisher ----------------------------------------------------------------------------------------------------


class FinisherContract:
    """Subclasses give a finisher with the stores that it ends jobs in."""

    @pytest.fixture
    def jobs(self) -> JobStore:
        raise NotImplementedError

    @pytest.fixture
    def schedules(self) -> ScheduleStore:
        raise NotImplementedError

    @pytest.fixture
    def finisher(self, jobs: JobStore, schedules: ScheduleStore) -> JobFinisher:
        raise NotImplementedError

    def test_the_job_completes_and_its_schedule_has_come_further(
        self, jobs: JobStore, schedules: ScheduleStore, finisher: JobFinisher, tmp_path: Path
    ) -> None:
        schedules.save(a_schedule(last_version=3))
        scored, job = finalizing(jobs, tmp_path, schedule_name="nightly", fire_time=NOW)
        done = finisher.finish(job, scored.manifest, scored.results)
        assert (done.status, done.status_reason) == (JobStatus.COMPLETED, "6 of 7 items")
        assert jobs.get(job.name) == done
        assert jobs.claim("you", LONG) is None
        assert schedules.get("nightly").last_version == 9

    def test_a_schedule_begins_where_its_own_input_says(
        self, jobs: JobStore, schedules: ScheduleStore, finisher: JobFinisher, tmp_path: Path
    ) -> None:
        begins = replace(a_schedule().input, from_version=3)
        schedules.save(a_schedule(input=begins, last_version=None))
        scored, job = finalizing(jobs, tmp_path, schedule_name="nightly", fire_time=NOW)
        assert scored.manifest.from_version == 3
        finisher.finish(job, scored.manifest, scored.results)
        assert schedules.get("nightly").last_version == 9

    def test_a_second_time_changes_nothing(
        self, jobs: JobStore, schedules: ScheduleStore, finisher: JobFinisher, tmp_path: Path
    ) -> None:
        schedules.save(a_schedule(last_version=3))
        scored, job = finalizing(jobs, tmp_path, schedule_name="nightly", fire_time=NOW)
        done = finisher.finish(job, scored.manifest, scored.results)
        assert finisher.finish(job, scored.manifest, scored.results) == done
        assert schedules.get("nightly").last_version == 9

    def test_a_runner_that_lost_its_lease_finishes_nothing(
        self, jobs: JobStore, schedules: ScheduleStore, finisher: JobFinisher, tmp_path: Path
    ) -> None:
        schedules.save(a_schedule(last_version=3))
        scored, job = finalizing(jobs, tmp_path, schedule_name="nightly", fire_time=NOW)
        jobs.save(job, renew=timedelta(0))
        taken = jobs.claim("you", LONG)
        assert taken is not None
        with pytest.raises(LeaseLost):
            finisher.finish(job, scored.manifest, scored.results)
        assert jobs.get(job.name) == taken
        assert schedules.get("nightly").last_version == 3

    def test_a_schedule_that_was_deleted_meanwhile_is_no_hindrance(
        self, jobs: JobStore, finisher: JobFinisher, tmp_path: Path
    ) -> None:
        scored, job = finalizing(jobs, tmp_path, schedule_name="nightly", fire_time=NOW)
        assert finisher.finish(job, scored.manifest, scored.results).status is JobStatus.COMPLETED


def finalizing(jobs: JobStore, folder: Path, **changes: Any) -> tuple[Scored, Job]:
    """A claimed job whose sinks have committed."""
    scored = Scored(folder, **changes)
    jobs.add(scored.job)
    job = jobs.claim("me", LONG)
    assert job is not None
    job = jobs.save(job.moved(JobStatus.PREPARING), manifest=scored.manifest)
    job = jobs.save(job.moved(JobStatus.RUNNING))
    job = jobs.record(job, scored.results)
    return scored, jobs.save(job.moved(JobStatus.FINALIZING, reason="6 of 7 items"))


class TestMemoryFinisher(FinisherContract):
    @pytest.fixture
    def jobs(self) -> JobStore:
        return MemoryJobStore()

    @pytest.fixture
    def schedules(self) -> ScheduleStore:
        return MemoryScheduleStore()

    @pytest.fixture
    def finisher(self, jobs: JobStore, schedules: ScheduleStore) -> JobFinisher:
        assert isinstance(jobs, MemoryJobStore)
        assert isinstance(schedules, MemoryScheduleStore)
        return MemoryFinisher(jobs, schedules)


@pytest.mark.stack
class TestPostgresFinisher(FinisherContract):
    @pytest.fixture
    def jobs(self, engine: sa.Engine) -> JobStore:
        return PostgresJobStore(engine)

    @pytest.fixture
    def schedules(self, engine: sa.Engine) -> ScheduleStore:
        return PostgresScheduleStore(engine)

    @pytest.fixture
    def finisher(self, engine: sa.Engine) -> JobFinisher:
        return PostgresFinisher(engine)

    def test_killed_between_lake_and_postgres_both_have_the_same_rows(
        self, jobs: JobStore, finisher: JobFinisher, engine: sa.Engine, tmp_path: Path
    ) -> None:
        scored, job = finalizing(jobs, tmp_path)
        places = Places(lake=tmp_path / "lake", jobs=tmp_path / "jobs")
        for sink in all_sinks(places):
            sink.commit(job, scored.manifest, scored.results)
        # here the runner dies; another claims the job and does it all again
        jobs.save(job, renew=timedelta(0))
        again = jobs.claim("you", LONG)
        assert again is not None
        for sink in all_sinks(places):
            sink.check(again)
            sink.commit(again, scored.manifest, scored.results)
        for _ in range(2):
            finisher.finish(again, scored.manifest, scored.results)
        in_lake, in_database = lake_rows(tmp_path / "lake"), database_rows(engine)
        assert len(in_lake) == 4
        for row in in_lake:
            row["details"] = {"surprise": "flow"} if row["row"] == 0 else {"surprise": None}
        assert in_database == in_lake

    def test_rows_that_are_no_predictions_leave_all_as_it_was(
        self, jobs: JobStore, finisher: JobFinisher, engine: sa.Engine, tmp_path: Path
    ) -> None:
        scored, job = finalizing(jobs, tmp_path)
        bad = pa.table({"window_start": ["yesterday"] * 2})
        with (
            pa.OSFile(str(tmp_path / "jobs/job-1/results/1.arrow"), "wb") as file,
            pa.ipc.new_file(file, bad.schema) as w,
        ):
            w.write_table(bad)
        with pytest.raises(JobFailed, match="column window_start"):
            finisher.finish(job, scored.manifest, scored.results)
        assert database_rows(engine) == []
        assert jobs.get(job.name) == job

    def test_only_a_finalizing_job_completes(self, jobs: JobStore, finisher: JobFinisher, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        jobs.add(scored.job)
        with pytest.raises(Conflict, match="Queued"):
            finisher.finish(scored.job, scored.manifest, scored.results)

    @pytest.mark.parametrize(
        ("stored", "own", "from_version", "expected"),
        [
            (3, None, 3, 9),
            (None, None, None, 9),
            (5, None, 3, 9),  # an overlap
            (12, None, 3, 12),  # never back
            (5, None, None, 9),
            (None, 3, 3, 9),  # the input itself says where the schedule begins
            (None, None, 3, None),  # a gap: what lies before 3 was never scored for this schedule
            (2, None, 3, 2),
            (2, 1, 3, 2),
        ],
    )
    def test_last_version_moves_forward_over_what_was_scored(
        self, jobs: JobStore, schedules: ScheduleStore, finisher: JobFinisher, tmp_path: Path,
        stored: int | None, own: int | None, from_version: int | None, expected: int | None,
    ) -> None:  # fmt: skip
        """A schedule that was made anew while its namesake's job ran must not skip the versions before that job's."""
        schedules.save(a_schedule(last_version=stored, input=replace(a_schedule().input, from_version=own)))
        scored, job = finalizing(jobs, tmp_path, schedule_name="nightly", fire_time=NOW)
        finisher.finish(job, replace(scored.manifest, from_version=from_version), scored.results)
        assert schedules.get("nightly").last_version == expected

    def test_a_job_on_files_puts_nothing_into_postgres(
        self, jobs: JobStore, finisher: JobFinisher, engine: sa.Engine, tmp_path: Path
    ) -> None:
        files = JobInput(type=JobInputType.URI_FOLDER, path="/data")
        scored, job = finalizing(jobs, tmp_path, input=files)
        assert finisher.finish(job, scored.manifest, scored.results).status is JobStatus.COMPLETED
        assert database_rows(engine) == []

    def test_a_database_that_is_away_asks_to_try_again(self, tmp_path: Path) -> None:
        scored = Scored(tmp_path)
        with pytest.raises(TryAgain):
            PostgresFinisher(create_engine("postgresql://x:y@127.0.0.1:1/none")).finish(
                scored.job, scored.manifest, scored.results
            )
