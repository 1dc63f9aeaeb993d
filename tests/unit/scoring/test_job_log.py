"""The log tree of a job: where Azure has what, and what is in it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scoring.compute.inline import InlineCompute
from scoring.job import JobProgress, JobStatus, JobUsage
from scoring.job_log import JobLog, progress_line, usage_line
from scoring.minibatch import MiniBatch, MiniBatchOutcome
from tests.contract.engine import Engine
from tests.contract.memory import SettableClock
from tests.contract.values import NOW, a_job, a_result


@pytest.fixture
def log(tmp_path: Path) -> JobLog:
    return JobLog(tmp_path, SettableClock(NOW).now)


def test_a_whole_job_leaves_the_tree(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.files(5)
    job = engine.invoke()

    def score(mini_batch: MiniBatch) -> list[str]:
        if mini_batch.index == 1:
            raise ValueError("no such pump")
        return ["row"] * len(mini_batch.items)

    engine.runner(InlineCompute(score)).run_one()
    logs = tmp_path / "jobs" / job.name / "logs"
    states = [line.split(" ", 1)[1] for line in (logs / "azureml" / "executionlogs.txt").read_text().splitlines()]
    assert states == [
        "Preparing: listing the input",
        "Preparing: waiting for workers",
        "Running: scoring",
        "Finalizing: writing the output",
        "Completed: 3 of 5 items succeeded in 3 mini-batches, 2 failed, 2 tries repeated",
    ]
    assert (logs.parent / "azureml-logs" / "70_driver_log.txt").read_text() == (
        logs / "azureml" / "executionlogs.txt"
    ).read_text()
    (overview,) = logs.glob("job_progress_overview.*.txt")
    assert overview.name == "job_progress_overview.2026010100.txt"
    first, *_, last = [line.split(" ", 1)[1] for line in overview.read_text().splitlines()]
    assert first.startswith("Scheduled 3 mini batches in ")
    assert first.endswith(" seconds. There are 3 tasks with 5 items.")
    assert last == "5 of 5 items done, 2 failed, 0 left (3 of 3 mini-batches)"
    result = (logs / "job_result.txt").read_text()
    assert f"{job.name}: Completed" in result
    assert "mini-batches: 3 total, 3 processed, 0 remaining; items: 5 total, 3 succeeded, 2 failed" in result
    assert not (logs / "job_error.txt").exists()
    with (logs / "sys" / "job_report" / "processed_mini-batches.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["mini_batch"], row["outcome"], row["tries"]) for row in rows] == [
        ("0", "succeeded", "1"), ("1", "failed", "3"), ("2", "succeeded", "1"),
    ]  # fmt: skip
    assert (
        "mini-batch 1 failed after 3 tries, 2 of 2 items failed (inline): ValueError: no such pump"
        in (logs / "sys" / "master_role.txt").read_text()
    )


def test_a_failed_job_says_why(log: JobLog, tmp_path: Path) -> None:
    failed = replace(a_job(), status=JobStatus.FAILED, status_reason="7 items failed", error="Traceback\nValueError: x")
    log.result(replace(failed, started_at=NOW, ended_at=NOW + timedelta(seconds=2), usage=JobUsage(worker_seconds=3)))
    assert (tmp_path / "logs" / "job_error.txt").read_text() == "7 items failed\n\nTraceback\nValueError: x\n"
    result = (tmp_path / "logs" / "job_result.txt").read_text()
    assert "3.0 worker-seconds" in result
    assert "started 2026-03-29T01:30:00.123Z, ended 2026-03-29T01:30:02.123Z" in result


def test_a_state_is_told_once_and_a_second_claim_adds_to_the_first(log: JobLog, tmp_path: Path) -> None:
    job = replace(a_job(), status=JobStatus.RUNNING, status_reason="scoring")
    log.state(job)
    log.state(job)
    JobLog(tmp_path, SettableClock(NOW).now).state(job)
    assert len((tmp_path / "logs" / "azureml" / "executionlogs.txt").read_text().splitlines()) == 2


def test_the_report_has_one_head(log: JobLog, tmp_path: Path) -> None:
    log.ended([a_result(0), a_result(1, outcome=MiniBatchOutcome.FAILED, error="a\nb, c")])
    log.ended([a_result(2)])
    with (tmp_path / "logs" / "sys" / "job_report" / "processed_mini-batches.csv").open() as file:
        assert [row["mini_batch"] for row in csv.DictReader(file)] == ["0", "1", "2"]


def test_what_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    log = JobLog(tmp_path, SettableClock(NOW).now)
    log.state(a_job())
    log.ended([a_result(0)])
    log.sample()
    log.result(a_job())


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (JobProgress(), "0 of 0 items done, 0 failed, 0 left (0 of 0 mini-batches)"),
        (
            JobProgress(
                mini_batches=100,
                mini_batches_done=12,
                items=1000,
                items_succeeded=117,
                items_failed=3,
                items_per_second=12.5,
            ),
            "120 of 1000 items done, 3 failed, 880 left, 12.5 a second, 70 s to go (12 of 100 mini-batches)",
        ),
    ],
)
def test_progress_in_words(progress: JobProgress, line: str) -> None:
    assert progress_line(progress) == line


def test_usage_in_words() -> None:
    usage = JobUsage(worker_seconds=8.04, core_seconds=3.5, instances=2, processes=4)
    assert usage_line(usage) == "8.0 worker-seconds, 3.5 core-seconds on 2 instances, 4 processes"


def test_a_resumed_jobs_old_error_is_gone_when_it_completes(log: JobLog, tmp_path: Path) -> None:
    log.result(replace(a_job(), status=JobStatus.FAILED, status_reason="x"))
    log.result(replace(a_job(), status=JobStatus.COMPLETED, status_reason="y"))
    assert not (tmp_path / "logs" / "job_error.txt").exists()


def test_growth_of_the_scripts_logs_is_noted(log: JobLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100, 10_000, 10))
    monkeypatch.setattr("scoring.job_log.time.monotonic", lambda: next(now))
    printed = tmp_path / "logs" / "user" / "stdout" / "node0" / "process000.stdout.txt"
    printed.parent.mkdir(parents=True)
    for text in ("a\n", "", "bc\n"):
        with printed.open("a") as file:
            file.write(text)
        log.sample()
    notes = [json.loads(line) for line in (tmp_path / "logs" / "sys" / "log_times.jsonl").read_text().splitlines()]
    name = "logs/user/stdout/node0/process000.stdout.txt"
    assert [note["sizes"] for note in notes] == [{name: 2}, {name: 5}]
    assert notes[0]["at"] == NOW.timestamp()
    with printed.open("a") as file:
        file.write("d\n")
    monkeypatch.setattr("scoring.job_log.time.monotonic", lambda: 0.0)
    log.sample()  # too soon
    log.result(a_job())
    assert json.loads((tmp_path / "logs" / "sys" / "log_times.jsonl").read_text().splitlines()[-1])["sizes"] == {
        name: 7
    }
