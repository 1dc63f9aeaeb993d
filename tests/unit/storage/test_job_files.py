"""Which files of a job are handed out, and under which names."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.errors import NotFound
from scoring.job import JobOutput
from storage.job_files import OUTPUT, JobFiles
from tests.contract.values import a_job


def test_logs_and_outputs_by_their_names(tmp_path: Path) -> None:
    job = a_job(output=JobOutput())
    files = JobFiles.of(job, tmp_path)
    for name in ("logs/user/error.txt", "azureml-logs/70_driver_log.txt", "outputs/score/a/b.csv", "static/x.parquet"):
        path = tmp_path / job.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert [file.name for file in files.logs()] == ["azureml-logs/70_driver_log.txt", "logs/user/error.txt"]
    assert [file.name for file in files.output(OUTPUT)] == ["a/b.csv"]


def test_links_and_halves_of_files_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = JobFiles.of(a_job(output=JobOutput(path=str(out))), tmp_path)
    with pytest.raises(NotFound, match="nothing was written"):
        files.output(OUTPUT)
    out.mkdir()
    (out / "predictions.csv").write_text("1")
    (out / ".predictions.csv.job-1.tmp").write_text("half")
    (out / "passwords").symlink_to("/etc/passwd")
    (out / "etc").symlink_to("/etc")
    assert [file.name for file in files.output(OUTPUT)] == ["predictions.csv"]
