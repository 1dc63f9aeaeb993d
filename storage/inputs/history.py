"""From which version on the lake's tables are still to be read: by jobs that have not ended, by schedules."""

from __future__ import annotations

from collections.abc import Iterable

from scoring.job import Job, JobInput, JobInputType
from scoring.schedule import Schedule
from storage.inputs.table import SCHEME


def needed_from(jobs: Iterable[Job], schedules: Iterable[Schedule]) -> dict[str, int]:
    """By table, the least version that somebody begins at; a table that nobody waits for is not in it.

    jobs       those that have not ended
    schedules  one that is disabled holds nothing back
    """
    found: dict[str, int] = {}

    def hold(read: JobInput, version: int | None) -> None:
        if read.type is JobInputType.TABLE and version is not None:
            name = read.path.removeprefix(SCHEME).rstrip("/")
            found[name] = min(version, found.get(name, version))

    for job in jobs:
        hold(job.input, job.input.to_version if job.input.from_version is None else job.input.from_version)
    for schedule in schedules:
        if schedule.is_enabled and schedule.input.incremental:
            versions = [v for v in (schedule.last_version, schedule.input.from_version) if v is not None]
            hold(schedule.input, max(versions, default=None))
    return found
