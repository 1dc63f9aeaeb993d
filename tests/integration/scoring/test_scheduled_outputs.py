"""A schedule whose output names a folder: every fire's job completes and leaves a file of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scoring.compute.inline import InlineCompute
from scoring.job import JobInput, JobInputType, JobOutput, JobStatus
from scoring.schedule import Schedule
from scoring.scheduler import Scheduler, SchedulerPorts
from scoring.triggers import Frequency, RecurrenceTrigger
from storage.sinks.output_file import OutputFile
from storage.sinks.places import Places
from tests.contract.engine import Engine

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("is_fixed", [True, False])
def test_the_second_fire_does_not_meet_the_firsts_file(tmp_path: Path, is_fixed: bool) -> None:
    engine = Engine(tmp_path)
    engine.files(2)
    scores = tmp_path / "scores"
    engine.schedules.save(
        Schedule(
            name="minutely",
            trigger=RecurrenceTrigger(frequency=Frequency.MINUTE, interval=1, start_time=START),
            endpoint_name="pumps",
            input=JobInput(type=JobInputType.URI_FOLDER, path="folder"),
            output=JobOutput(path=str(scores)) if is_fixed else JobOutput(),
            next_fire=START,
        )
    )
    scheduler = Scheduler(
        SchedulerPorts(
            schedules=engine.schedules,
            jobs=engine.jobs,
            catalog=engine.catalog,
            reader=engine.reader,
            clock=engine.clock,
            new_name=lambda schedule: f"{schedule.name}-{engine.schedules.get(schedule.name).next_fire:%M}",
        )
    )
    sink = OutputFile(Places(lake=tmp_path / "lake", jobs=tmp_path / "jobs"))
    runner = engine.runner(InlineCompute(lambda m: [Path(i.uri).name for i in m.items]), sinks=lambda _: [sink])
    folders = []
    for minute in range(2):
        (fired,) = scheduler.tick(START + minute * MINUTE)
        ended = runner.run_one()
        assert fired.job is not None
        assert ended is not None
        assert (ended.name, ended.status) == (fired.job.name, JobStatus.COMPLETED), ended.status_reason
        folders.append(scores / ended.name if is_fixed else tmp_path / "jobs" / ended.name / "outputs" / "score")
    assert len(set(folders)) == 2
    for folder in folders:
        assert (folder / "predictions.csv").read_text().split() == ["folder-0000.txt", "folder-0001.txt"]
