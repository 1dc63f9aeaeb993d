"""Outputs of earlier jobs, by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scoring.errors import Conflict, NotFound
from scoring.job import JobStatus
from storage.job_places import output_folders
from tests.contract.memory import MemoryJobStore
from tests.contract.values import a_job


def test_the_output_of_a_completed_job_is_found(tmp_path: Path) -> None:
    jobs = MemoryJobStore()
    for name, status, path in (
        ("own", JobStatus.COMPLETED, None),
        ("elsewhere", JobStatus.COMPLETED, "/data/out"),
        ("at-work", JobStatus.RUNNING, None),
    ):
        job = a_job(name)
        jobs.add(replace(job, status=status, output=replace(job.output, path=path)))
    folder = output_folders(jobs, tmp_path)
    assert folder("own", "score") == tmp_path / "own" / "outputs" / "score"
    assert folder("elsewhere", "score") == Path("/data/out")
    with pytest.raises(NotFound, match="no output named logs; there is: score"):
        folder("own", "logs")
    with pytest.raises(Conflict, match="job at-work is Running"):
        folder("at-work", "score")
    with pytest.raises(NotFound):
        folder("absent", "score")
