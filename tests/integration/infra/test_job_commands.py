"""The verbs of `tidemill job` against a real service: following, downloading, logs, taking ended jobs up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.service_process import ServiceProcess, deploy, files
from tests.waiting import until

pytestmark = pytest.mark.stack

# fails on files that a note in the model's place forbids; every call is noted outside the job's folder
SCRIPT = """\
import os

def run(mini_batch):
    print("scoring", [os.path.basename(path) for path in mini_batch])
    with open(os.environ["NOTES"] + "/calls", "a") as calls:
        for path in mini_batch:
            calls.write(os.path.basename(path) + "\\n")
    for path in mini_batch:
        if os.path.exists(os.environ["NOTES"] + "/" + os.path.basename(path)):
            raise ValueError("forbidden: " + os.path.basename(path))
    return [os.path.basename(path) for path in mini_batch]
"""

SLOW = """\
import os, time

def run(mini_batch):
    notes = os.environ["NOTES"]
    while len(open(notes + "/calls").readlines()) >= 8 and not os.path.exists(notes + "/go-on"):
        time.sleep(0.05)
    with open(notes + "/calls", "a") as calls:
        calls.write(os.path.basename(mini_batch[0]) + "\\n")
    return [os.path.basename(path) for path in mini_batch]
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def start(service: ServiceProcess, folder: Path, script: str, notes: Path, count: int, **settings: Any) -> str:
    settings = {
        "mini_batch_size": 1,
        "retry_settings": {"max_retries": 1, "timeout": 30},
        "environment_variables": {"NOTES": str(notes)},
        **settings,
    }
    deploy(service, folder, script, settings=settings)
    body = {"input": {"path": str(files(folder / "data", count))}, "experiment_name": "nightly"}
    return str(service.client.batch_endpoints.invoke("things", body)["name"])


def end_of(service: ServiceProcess, job: str) -> dict[str, Any]:
    return list(service.client.jobs.stream(job, limit_seconds=240))[-1]


def said(service: ServiceProcess, *args: str, code: int = 0) -> str:
    done = service.command("job", *args)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_failed_job_is_looked_at_mended_and_resumed(service: ServiceProcess, tmp_path: Path, notes: Path) -> None:
    for name in ("f001.txt", "f002.txt"):
        (notes / name).touch()
    job = start(service, tmp_path, SCRIPT, notes, 6, error_threshold=1)
    streamed = service.command("job", "stream", "-n", job)
    assert streamed.returncode == 7
    assert f"Web View: {service.url}/jobs/{job}" in streamed.stdout
    assert "Streaming logs/azureml/executionlogs.txt\n===" in streamed.stdout
    assert "Running: scoring" in streamed.stdout
    assert "Execution Summary\n=================\nRunId: " in streamed.stdout
    assert "ValueError: forbidden: f00" in streamed.stderr

    shown = json.loads(said(service, "show", "-n", job))
    assert (shown["status"], shown["type"], shown["experiment_name"]) == ("Failed", "pipeline", "nightly")
    assert "2 items failed, error_threshold allows 1" in shown["status_reason"]
    said(service, "resume", "-n", "absent", code=3)

    for name in ("f001.txt", "f002.txt"):
        (notes / name).unlink()
    (notes / "calls").unlink()
    resumed = json.loads(said(service, "resume", "-n", job))
    assert resumed["round"] == 1
    ended = end_of(service, job)
    assert (ended["status"], ended["error"]) == ("Completed", None)
    assert (ended["progress"]["items"], ended["progress"]["items_succeeded"]) == (6, 6)
    written = (Path(ended["outputs"]["score"]["path"]) / "predictions.csv").read_text().splitlines()
    assert written == [f"f{n:03}.txt" for n in range(6)]
    # what had succeeded was not scored again
    calls = (notes / "calls").read_text().splitlines()
    assert len(calls) == len(set(calls)) == 6 - shown["progress"]["items_succeeded"]
    said(service, "resume", "-n", job, code=1)


def test_failed_mini_batches_of_a_completed_job_are_scored_again(
    service: ServiceProcess, tmp_path: Path, notes: Path
) -> None:
    (notes / "f002.txt").touch()
    job = start(service, tmp_path, SCRIPT, notes, 4)
    ended = end_of(service, job)
    output = Path(ended["outputs"]["score"]["path"]) / "predictions.csv"
    assert (ended["status"], ended["progress"]["items_failed"]) == ("Completed", 1)
    assert output.read_text().splitlines() == ["f000.txt", "f001.txt", "f003.txt"]

    (notes / "f002.txt").unlink()
    (notes / "calls").unlink()
    said(service, "retry-failed", "-n", job, "-o", "none")
    ended = end_of(service, job)
    assert (ended["status"], ended["progress"]["items_failed"], ended["round"]) == ("Completed", 0, 1)
    assert (notes / "calls").read_text().splitlines() == ["f002.txt"]
    assert output.read_text().splitlines() == [f"f{n:03}.txt" for n in range(4)]
    refused = service.command("job", "retry-failed", "-n", job)
    assert refused.returncode == 1
    assert "nothing to score again" in refused.stderr


def test_a_canceled_job_goes_on_where_it_was(service: ServiceProcess, tmp_path: Path, notes: Path) -> None:
    (notes / "calls").touch()
    job = start(service, tmp_path, SLOW, notes, 24, retry_settings={"max_retries": 1, "timeout": 200})
    until("three are done", lambda: service.client.jobs.show(job)["progress"]["mini_batches_done"] >= 3)
    early = service.command("job", "download", "-n", job, "-p", str(tmp_path / "early"))
    assert early.returncode == 1
    assert "can be downloaded when it has ended" in early.stderr
    assert not (tmp_path / "early").exists()
    said(service, "cancel", "-n", job, "-o", "none")
    assert end_of(service, job)["status"] == "Canceled"
    before = (notes / "calls").read_text().splitlines()
    (notes / "go-on").touch()
    said(service, "resume", "-n", job, "-o", "none")
    assert end_of(service, job)["status"] == "Completed"
    calls = (notes / "calls").read_text().splitlines()
    assert set(calls) == {f"f{n:03}.txt" for n in range(24)}
    # what was under way at the cancel is scored again, and no more
    assert len(calls) - 24 <= 2
    assert len(calls) - len(before) < 24


def test_downloads_lie_where_azure_puts_them(service: ServiceProcess, tmp_path: Path, notes: Path) -> None:
    job = start(service, tmp_path, SCRIPT, notes, 3)
    service.client.batch_endpoints.delete("things")  # jobs, their logs and outputs stay
    end_of(service, job)
    (step,) = json.loads(said(service, "list", "-p", job))
    assert (step["name"], step["parent_job_name"]) == (f"{job}:batchscoring", job)

    said(service, "download", "-n", job, "--output-name", "score", "-p", str(tmp_path / "a"))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["predictions.csv"]
    said(service, "download", "-n", step["name"], "--output-name", "score", "-p", str(tmp_path / "b"))
    assert (tmp_path / "b" / "named-outputs" / "score" / "predictions.csv").is_file()
    said(service, "download", "-n", job, "-p", str(tmp_path / "c"))
    logs = tmp_path / "c" / "artifacts" / "logs"
    for name in (
        "readme.txt", "job_result.txt", "azureml/executionlogs.txt", "sys/job_report/processed_mini-batches.csv",
        "user/stdout", "sys/node",
    ):  # fmt: skip
        assert (logs / name).exists(), name
    assert list(logs.glob("job_progress_overview.*.txt"))
    assert not (tmp_path / "c" / "named-outputs").exists()
    said(service, "download", "-n", job, "--all", "-p", str(tmp_path / "d"))
    assert (tmp_path / "d" / "named-outputs" / "score" / "predictions.csv").is_file()
    assert (tmp_path / "d" / "artifacts" / "azureml-logs" / "70_driver_log.txt").is_file()
    unknown = service.command(
        "job", "download", "-n", job, "--output-name", "transformations", "-p", str(tmp_path / "e")
    )
    assert unknown.returncode == 0
    assert "no output named transformations" in unknown.stderr
    assert not (tmp_path / "e").exists()


def test_the_merged_log_follows_a_job_to_its_end(service: ServiceProcess, tmp_path: Path, notes: Path) -> None:
    job = start(service, tmp_path, SCRIPT, notes, 3)
    followed = said(service, "logs", "-n", job, "--follow").splitlines()
    times = [line.split(" ", 1)[0] for line in followed]
    assert len(times) > 6
    assert any("azureml/executionlogs.txt: " in line and "Completed" in line for line in followed)
    assert sum("scoring ['f00" in line for line in followed) == 3
    again = said(service, "logs", "-n", job, "--source", "logs/user/stdout/*").splitlines()
    assert again
    assert all("user/stdout/" in line for line in again)
    whole = said(service, "logs", "-n", job).splitlines()
    assert [line.split(" ", 1)[0] for line in whole] == sorted(line.split(" ", 1)[0] for line in whole)


def test_names_tags_and_archives(service: ServiceProcess, tmp_path: Path, notes: Path) -> None:
    job = start(service, tmp_path, SCRIPT, notes, 1)
    end_of(service, job)
    changed = json.loads(
        said(service, "update", "-n", job, "--set", "tags.owner=ops", "display_name=tonight", "--force-string")
    )
    assert (changed["tags"], changed["display_name"]) == ({"owner": "ops"}, "tonight")
    assert json.loads(said(service, "update", "-n", job, "--remove", "tags.owner"))["tags"] == {}
    refused = service.command("job", "update", "-n", job, "--set", "status=Running")
    assert refused.returncode == 2
    assert "status: it cannot be changed" in refused.stderr

    table = said(service, "list", "-o", "table").splitlines()
    assert [head.strip() for head in table[0].split("  ") if head.strip()] == [
        "Name", "Status", "Experiment", "Compute target", "Job type", "Created on",
    ]  # fmt: skip
    assert job in table[2]
    said(service, "archive", "-n", job)
    assert said(service, "list", "--query", "[].name", "-o", "tsv") == ""
    assert said(service, "list", "--archived-only", "--query", "[].name", "-o", "tsv") == f"{job}\n"
    assert said(service, "list", "--include-archived", "--query", "[].name", "-o", "tsv") == f"{job}\n"
    said(service, "restore", "-n", job)
    assert said(service, "list", "-r", "5", "--query", "[].name", "-o", "tsv") == f"{job}\n"
    assert json.loads(said(service, "show-services", "-n", job))["Studio"]["endpoint"].endswith(job)
    (tmp_path / "pipeline.yml").write_text("$schema: x\ntype: pipeline\njobs: {}\n")
    refused = service.command("job", "create", "-f", str(tmp_path / "pipeline.yml"))
    assert refused.returncode == 2
    assert "pipeline.yml:3: jobs: found no step" in refused.stderr
