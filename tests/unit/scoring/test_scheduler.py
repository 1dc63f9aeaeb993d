"""Schedules that invoke by themselves: once for a fire time, never twice at a time, only what is new."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from scoring.components.binding import DataReference, LiteralValue
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.compute.inline import InlineCompute
from scoring.errors import NotFound, TryAgain
from scoring.job import NO_INPUT, Job, JobInput, JobInputType, JobKind, JobOutput, JobStatus
from scoring.minibatch import InputItem
from scoring.schedule import Schedule, first_fire
from scoring.scheduler import Scheduler, SchedulerPorts
from scoring.triggers import Frequency, RecurrenceTrigger
from tests.contract.engine import Engine
from tests.contract.memory import MemoryTable
from tests.contract.memory_pipelines import a_command, a_pipeline, a_step

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Plant:
    """An engine with a table `windows` and a schedule `minutely` over what is new in it."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine(folder)
        self.table = self.engine.reader.tables["lake://windows"] = MemoryTable()
        numbers = count(1)
        self.ports = SchedulerPorts(
            schedules=self.engine.schedules,
            jobs=self.engine.jobs,
            catalog=self.engine.catalog,
            reader=self.engine.reader,
            clock=self.engine.clock,
            new_name=lambda schedule: f"{schedule.name}-{next(numbers)}",
        )
        self.scheduler = Scheduler(self.ports)
        self.save()

    def save(self, **changes: Any) -> None:
        trigger = RecurrenceTrigger(frequency=Frequency.MINUTE, interval=1, start_time=START)
        fields: dict[str, Any] = {
            "name": "minutely",
            "trigger": trigger,
            "endpoint_name": "pumps",
            "input": JobInput(type=JobInputType.TABLE, path="lake://windows", incremental=True),
            "next_fire": first_fire(trigger, START),
        }
        self.engine.schedules.save(Schedule(**{**fields, **changes}))

    @property
    def schedule(self) -> Schedule:
        return self.engine.schedules.get("minutely")

    def run_work(self, **work: Any) -> None:
        """The schedule runs this, not an endpoint."""
        self.save(endpoint_name="", input=NO_INPUT, **work)

    def new_rows(self, name: str) -> None:
        self.table.append(InputItem(uri=f"/{name}", size_bytes=1, rows=1))

    def run_jobs(self) -> list[Job]:
        ended = []
        runner = self.engine.runner(InlineCompute(lambda m: [item.uri for item in m.items]))
        while (job := runner.run_one()) is not None:
            ended.append(job)
        return ended


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def test_nothing_is_due_before_its_time(plant: Plant) -> None:
    assert plant.scheduler.tick(START - MINUTE) == []


def test_each_fire_scores_what_is_new_and_moves_on(plant: Plant) -> None:
    plant.new_rows("a")
    plant.new_rows("b")
    (first,) = plant.scheduler.tick(START)
    assert first.job is not None
    assert (first.job.schedule_name, first.job.fire_time, first.job.trigger) == ("minutely", START, "schedule")
    assert plant.schedule.next_fire == START + MINUTE
    assert plant.schedule.last_job_name == first.job.name
    plant.run_jobs()
    assert plant.schedule.last_version == 1
    plant.new_rows("c")
    (second,) = plant.scheduler.tick(START + MINUTE)
    assert second.job is not None
    assert second.job.input.from_version == 1
    plant.run_jobs()
    rows = plant.engine.sink.rows
    assert rows[first.job.name] == ["/a", "/b"]
    assert rows[second.job.name] == ["/c"]


def test_nothing_new_makes_no_job_but_is_told(plant: Plant) -> None:
    plant.new_rows("a")
    plant.scheduler.tick(START)
    plant.run_jobs()
    (fired,) = plant.scheduler.tick(START + MINUTE)
    assert fired.job is None
    assert fired.skipped == "nothing new in lake://windows since version 0"
    assert plant.schedule.last_skip == fired.skipped
    assert plant.schedule.next_fire == START + 2 * MINUTE


def test_a_job_that_still_runs_is_not_joined_by_another(plant: Plant) -> None:
    plant.new_rows("a")
    plant.scheduler.tick(START)
    plant.new_rows("b")
    (fired,) = plant.scheduler.tick(START + MINUTE)
    assert (fired.job, fired.skipped) == (None, "the job before it still runs")
    plant.run_jobs()
    plant.new_rows("c")
    (third,) = plant.scheduler.tick(START + 2 * MINUTE)
    assert third.job is not None
    assert plant.schedule.last_skip is None


def test_a_failed_job_leaves_what_it_was_to_score_to_the_next(plant: Plant) -> None:
    plant.new_rows("a")
    (first,) = plant.scheduler.tick(START)
    assert first.job is not None
    failed = plant.engine.runner(InlineCompute(lambda m: [])).run_one()
    assert failed is not None
    assert failed.status is JobStatus.FAILED
    plant.new_rows("b")
    (second,) = plant.scheduler.tick(START + MINUTE)
    assert second.job is not None
    plant.run_jobs()
    assert plant.engine.sink.rows[second.job.name] == ["/a", "/b"]


def test_missed_fires_are_one_job_and_counted(plant: Plant) -> None:
    plant.new_rows("a")
    now = START + timedelta(hours=3, seconds=5)
    (fired,) = plant.scheduler.tick(now)
    assert fired.job is not None
    assert (fired.fire_time, fired.missed, plant.schedule.missed) == (START, 180, 180)
    assert plant.schedule.next_fire == START + timedelta(hours=3, minutes=1)
    assert plant.scheduler.tick(now) == []


def test_two_schedulers_make_one_job_of_a_fire_time(plant: Plant, tmp_path: Path) -> None:
    plant.new_rows("a")
    due = plant.engine.schedules.due(START)
    plant.scheduler.tick(START)
    # the other had read what is due before
    plant.engine.schedules.due = lambda now: due  # type: ignore[method-assign]
    (fired,) = plant.scheduler.tick(START)
    assert fired.job is None
    assert len(plant.run_jobs()) == 1


def test_a_crash_between_job_and_schedule_makes_no_second_job(plant: Plant) -> None:
    plant.new_rows("a")
    before = plant.schedule
    (first,) = plant.scheduler.tick(START)
    assert first.job is not None
    plant.engine.schedules.save(before)  # as if it had never been moved
    (again,) = plant.scheduler.tick(START)
    assert again.job is not None
    assert again.job.name == first.job.name
    assert plant.schedule.last_job_name == first.job.name


def test_last_version_is_read_after_the_job_before_was_seen_to_have_ended(plant: Plant) -> None:
    plant.new_rows("a")
    plant.scheduler.tick(START)
    plant.new_rows("b")
    stale = plant.engine.schedules.due(START + MINUTE)
    plant.run_jobs()  # ends after the schedule was read: scores a and b, as both were there when it was planned
    plant.engine.schedules.due = lambda now: stale  # type: ignore[method-assign]
    (fired,) = plant.scheduler.tick(START + MINUTE)
    assert fired.skipped == "nothing new in lake://windows since version 1"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"endpoint_name": "gone"}, "endpoint gone does not exist"),
        ({"deployment_name": "green"}, "deployment pumps/green does not exist"),
        ({"input": JobInput(type=JobInputType.TABLE, path="lake://nothing")}, "lake://nothing does not exist"),
    ],
)
def test_what_cannot_be_invoked_is_told_and_tried_at_the_next_time(
    plant: Plant, change: dict[str, Any], told: str
) -> None:
    plant.new_rows("a")
    plant.save(**change)
    (fired,) = plant.scheduler.tick(START)
    assert fired.job is None
    assert told in str(plant.schedule.last_skip)
    assert plant.schedule.next_fire == START + MINUTE


def test_a_store_that_is_away_leaves_the_schedule_due(plant: Plant) -> None:
    plant.new_rows("a")
    resolve = plant.engine.reader.resolve

    def away(job_input: JobInput) -> JobInput:
        raise TryAgain("away")

    plant.engine.reader.resolve = away  # type: ignore[method-assign]
    assert plant.scheduler.tick(START) == []
    plant.engine.reader.resolve = resolve  # type: ignore[method-assign]
    (fired,) = plant.scheduler.tick(START + MINUTE)
    assert fired.job is not None
    assert fired.fire_time == START


def test_a_store_that_stays_away_is_told_once_and_so_is_its_return(
    plant: Plant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    looks = count()

    def due(_: datetime) -> list[Schedule]:
        if next(looks) < 5:
            raise TryAgain("the database is away")
        stop.set()
        return []

    monkeypatch.setattr(plant.engine.schedules, "due", due)
    plant.scheduler.serve(stop, poll=0.001)
    assert caplog.messages == ["the scheduler waits: the database is away", "the scheduler goes on after 0 s"]


def test_a_schedule_tells_what_it_waits_for_once(
    plant: Plant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: JobInput) -> JobInput:
        raise TryAgain("the lake is away")

    plant.new_rows("a")
    with monkeypatch.context() as patch:
        patch.setattr(plant.engine.reader, "resolve", away)
        assert [plant.scheduler.tick(START) for _ in range(3)] == [[], [], []]
    assert len(plant.scheduler.tick(START)) == 1
    assert caplog.messages == ["schedule minutely waits: the lake is away", "schedule minutely goes on after 0 s"]


def test_a_schedule_that_fails_does_not_hold_back_the_others(plant: Plant) -> None:
    class Broken:
        def next_after(self, moment: datetime) -> datetime | None:
            raise ZeroDivisionError

    plant.new_rows("a")
    broken = replace(plant.schedule, name="a-broken-one", trigger=Broken())
    plant.engine.schedules.save(broken)
    assert [fired.schedule_name for fired in plant.scheduler.tick(START)] == ["minutely"]


def test_the_last_fire_before_the_end_leaves_nothing_due(plant: Plant) -> None:
    trigger = RecurrenceTrigger(frequency=Frequency.MINUTE, interval=1, start_time=START, end_time=START)
    plant.new_rows("a")
    plant.save(trigger=trigger)
    (fired,) = plant.scheduler.tick(START)
    assert fired.job is not None
    assert plant.schedule.next_fire is None
    assert plant.scheduler.tick(START + timedelta(days=9)) == []


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (JobOutput(), [None, None]),
        (JobOutput(path="/scores/"), ["/scores/minutely-1", "/scores/minutely-2"]),
        (JobOutput(path="/scores/${{name}}/csv"), ["/scores/minutely-1/csv", "/scores/minutely-2/csv"]),
        (JobOutput(path="/scores/of-${{ name }}"), ["/scores/of-minutely-1", "/scores/of-minutely-2"]),
        (JobOutput(path="/scores", overwrite=True), ["/scores", "/scores"]),
    ],
)
def test_each_job_has_an_output_folder_of_its_own(plant: Plant, output: JobOutput, expected: list[str | None]) -> None:
    plant.save(output=output)
    found = []
    for minute in range(2):
        plant.new_rows(str(minute))
        (fired,) = plant.scheduler.tick(START + minute * MINUTE)
        assert fired.job is not None
        found.append(fired.job.output.path)
        plant.run_jobs()
    assert found == expected
    assert plant.schedule.output == output


def test_files_are_scored_whole_at_every_fire(plant: Plant) -> None:
    plant.engine.files(2)
    plant.save(input=JobInput(type=JobInputType.URI_FOLDER, path="folder"))
    for minute in range(2):
        (fired,) = plant.scheduler.tick(START + minute * MINUTE)
        assert fired.job is not None
        plant.run_jobs()
        assert len(plant.engine.sink.rows[fired.job.name]) == 2


def test_a_pipeline_is_run_at_each_fire_time(plant: Plant) -> None:
    work = replace(a_pipeline(a_step("only")), tags={"own": "1"}, experiment_name="nightly")
    plant.run_work(pipeline=work, tags={"of": "schedule"})
    (fired,) = plant.scheduler.tick(START)
    job = fired.job
    assert job is not None
    assert (job.kind, job.status, job.schedule_name, job.fire_time) == (
        JobKind.PIPELINE,
        JobStatus.QUEUED,
        "minutely",
        START,
    )
    assert job.pipeline is not None
    assert job.pipeline.component == work.component
    assert job.tags == {"own": "1", "of": "schedule", "schedule": "minutely"}
    assert (job.display_name, job.experiment_name) == ("minutely", "nightly")
    (waits,) = plant.scheduler.tick(START + MINUTE)
    assert (waits.job, waits.skipped) == (None, "the job before it still runs")


def test_a_command_gets_the_name_of_its_job_and_the_data_of_its_time(plant: Plant) -> None:
    inputs = {
        "text": LiteralValue(value="in ${{ name }}/x"),
        "number": LiteralValue(value=3),
        "data": DataReference(path="azureml:plant"),
    }

    def freeze(work: CommandJob | PipelineJob) -> CommandJob | PipelineJob:
        return replace(work, inputs={**work.inputs, "data": DataReference(path="azureml:plant:7")})

    plant.scheduler = Scheduler(replace(plant.ports, freeze=freeze))
    plant.run_work(command=CommandJob(component=a_command("ls", reads=["data"]), inputs=inputs))
    (fired,) = plant.scheduler.tick(START)
    assert fired.job is not None
    assert fired.job.command is not None
    assert fired.job.command.inputs == {
        "text": LiteralValue(value="in minutely-1/x"),
        "number": LiteralValue(value=3),
        "data": DataReference(path="azureml:plant:7"),
    }
    assert plant.schedule.command is not None
    assert plant.schedule.command.inputs == inputs


def test_data_that_is_gone_is_why_there_is_no_job(plant: Plant) -> None:
    def freeze(work: CommandJob | PipelineJob) -> CommandJob | PipelineJob:
        raise NotFound("there is no data asset named plant")

    plant.scheduler = Scheduler(replace(plant.ports, freeze=freeze))
    plant.run_work(command=CommandJob(component=a_command("ls")))
    (fired,) = plant.scheduler.tick(START)
    assert (fired.job, fired.skipped) == (None, "there is no data asset named plant")
    assert plant.schedule.last_skip == fired.skipped
