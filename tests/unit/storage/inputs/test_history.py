from __future__ import annotations

from dataclasses import replace

from scoring.job import JobInput, JobInputType
from scoring.schedule import Schedule
from storage.inputs.history import needed_from
from tests.contract.values import a_job, a_schedule

WINDOWS = JobInput(type=JobInputType.TABLE, path="lake://windows")


def scheduled(
    last: int | None, begins: int | None = None, *, is_enabled: bool = True, incremental: bool = True
) -> Schedule:
    read = replace(WINDOWS, incremental=incremental, from_version=begins)
    return a_schedule(input=read, last_version=last, is_enabled=is_enabled)


def test_nobody_needs_anything() -> None:
    files = a_job(input=JobInput(type=JobInputType.URI_FOLDER, path="/data", to_version=4))
    assert (
        needed_from([files], [scheduled(None), scheduled(3, is_enabled=False), scheduled(3, incremental=False)]) == {}
    )


def test_the_least_version_counts() -> None:
    ranged = a_job(input=replace(WINDOWS, from_version=40, to_version=60))
    whole = a_job(input=replace(WINDOWS, path="lake://late_readings/", to_version=7))
    assert needed_from([ranged, whole], [scheduled(55)]) == {"windows": 40, "late_readings": 7}
    assert needed_from([ranged], [scheduled(30, 35)]) == {"windows": 35}
    assert needed_from([], [scheduled(30)]) == {"windows": 30}
