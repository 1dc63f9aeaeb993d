"""The batch scoring commands against a real service on a real database, from compute to download."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.service_process import ServiceProcess, deploy, files

pytestmark = pytest.mark.stack

SCORE = """\
import os

def init():
    global words
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "weights.txt")) as weights:
        words = len(weights.read().split())

def run(mini_batch):
    return [f"{os.path.basename(path)} {os.path.getsize(path) * words}" for path in mini_batch]
"""

SLOW = "import time\ndef run(mini_batch):\n    time.sleep(1)\n    return mini_batch\n"

RAISES = """\
def helper(path):
    raise ValueError("cannot read " + path)

def run(mini_batch):
    return [helper(path) for path in mini_batch]
"""

DEPLOYMENT = """\
type: model
name: first
endpoint_name: elsewhere
model:
  path: model
code_configuration:
  code: code
  scoring_script: score.py
compute: azureml:batch-cluster
settings:
  mini_batch_size: 2
  retry_settings: {max_retries: 2, timeout: 20}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files as a user has them: deployment.yml, code/score.py, model/, data/."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCORE)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.txt").write_text("1 2 3\n")
    (tmp_path / "deployment.yml").write_text(DEPLOYMENT)
    files(tmp_path / "data", 5)
    return tmp_path


def said(service: ServiceProcess, *args: str, code: int = 0) -> str:
    """stdout of a command that must end with this code."""
    done = service.command(*args)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_from_compute_to_download_as_in_the_how_to(service: ServiceProcess, folder: Path) -> None:
    cluster = (
        "compute",
        "create",
        "-n",
        "batch-cluster",
        "--type",
        "amlcompute",
        "--min-instances",
        "0",
        "--max-instances",
    )
    assert json.loads(said(service, *cluster, "5"))["max_instances"] == 5
    assert json.loads(said(service, *cluster, "3"))["max_instances"] == 3
    assert (
        said(service, "batch-endpoint", "create", "--name", "Things-One", "--query", "name", "-o", "tsv")
        == "things-one\n"
    )
    said(
        service, "batch-deployment", "create", "--f", str(folder / "deployment.yml"), "--endpoint", "things-one",
        "--set-default", "-g", "group", "-w", "workspace",
    )  # fmt: skip
    shown = json.loads(said(service, "batch-deployment", "show", "-n", "first", "-e", "things-one"))
    assert shown["retry_settings"] == {"max_retries": 2, "timeout": 20, "bisect": False}
    assert shown["mini_batch_size"] == 2

    job = said(
        service, "batch-endpoint", "invoke", "-n", "THINGS-ONE", "--input", str(folder / "data"),
        "--set", "output_file_name=mine.csv", "--query", "name", "-o", "tsv",
    ).strip()  # fmt: skip
    streamed = service.command("job", "stream", "-n", job)
    assert streamed.returncode == 0, streamed.stderr
    assert streamed.stdout.startswith(f"RunId: {job}\nWeb View: {service.url}/jobs/{job}\n")
    assert "Status: Completed: 5 of 5 items succeeded" in streamed.stdout
    ended = json.loads(said(service, "job", "show", "-n", job))
    assert (ended["status"], ended["error"]) == ("Completed", None)
    counts = {
        "items": 5, "items_done": 5, "items_failed": 0, "items_left": 0, "items_succeeded": 5, "mini_batches": 3,
        "mini_batches_done": 3, "retries": 0, "seconds_left": None,
    }  # fmt: skip
    assert {key: ended["progress"][key] for key in counts} == counts
    assert ended["progress"]["items_per_second"] > 0
    assert ended["started_at"] < ended["ended_at"]
    said(service, "job", "download", "-n", job, "--output-name", "score", "-p", str(folder / "out"))
    assert (folder / "out" / "mine.csv").read_text().splitlines() == [f"f{n:03}.txt {n * 3}" for n in range(5)]

    assert (
        said(service, "batch-endpoint", "list-jobs", "-n", "things-one", "--query", "[].name", "-o", "tsv")
        == f"{job}\n"
    )
    batches = service.client.jobs.mini_batches(job)
    assert [(b["index"], b["outcome"], b["succeeded"]) for b in batches] == [
        (0, "succeeded", 2), (1, "succeeded", 2), (2, "succeeded", 1),
    ]  # fmt: skip
    said(service, "batch-endpoint", "delete", "-n", "things-one", code=2)
    said(service, "batch-endpoint", "delete", "-n", "things-one", "--yes")
    assert said(service, "batch-endpoint", "list", "-o", "tsv") == ""
    assert said(service, "job", "list", "--query", "[].status", "-o", "tsv") == "Completed\n"


def test_a_script_that_raises_is_told_with_its_traceback(service: ServiceProcess, tmp_path: Path) -> None:
    deploy(service, tmp_path, RAISES)
    job = service.client.batch_endpoints.invoke("things", {"input": {"path": str(files(tmp_path / "data", 3))}})
    streamed = service.command("job", "stream", "-n", job["name"])
    assert streamed.returncode == 7
    assert "Execution Summary" in streamed.stdout
    assert "ValueError: cannot read" in streamed.stderr
    assert 'score.py", line 2, in helper' in streamed.stderr
    shown = service.client.jobs.show(job["name"])
    assert shown["status"] == "Failed"
    assert "ValueError" in shown["status_reason"]
    assert shown["error"].startswith("Traceback (most recent call last):")


def test_cancel_ends_a_job_at_work_and_stream_says_8(service: ServiceProcess, tmp_path: Path) -> None:
    deploy(service, tmp_path, SLOW, settings={"mini_batch_size": 1})
    job = service.client.batch_endpoints.invoke("things", {"input": {"path": str(files(tmp_path / "data", 60))}})[
        "name"
    ]
    until(service, job, lambda shown: shown["progress"]["mini_batches_done"] > 0)
    said(service, "job", "cancel", "-n", job)
    streamed = service.command("job", "stream", "-n", job)
    assert streamed.returncode == 8
    shown = service.client.jobs.show(job)
    assert (shown["status"], shown["progress"]["mini_batches_done"] < 60) == ("Canceled", True)
    said(service, "job", "cancel", "-n", job)  # again is no error


def test_leaving_a_stream_leaves_the_job(service: ServiceProcess, tmp_path: Path) -> None:
    deploy(service, tmp_path, SLOW, settings={"mini_batch_size": 1})
    job = service.client.batch_endpoints.invoke("things", {"input": {"path": str(files(tmp_path / "data", 6))}})["name"]
    following = service.begin("job", "stream", "-n", job)
    until(service, job, lambda shown: shown["progress"]["mini_batches_done"] > 0)
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=120)
    assert following.returncode == 130
    assert f"detached; job {job} goes on" in errors
    assert until(service, job, lambda shown: shown["ended_at"] is not None)["status"] == "Completed"


def test_wrong_input_is_one_line_with_its_place_and_changes_nothing(service: ServiceProcess, folder: Path) -> None:
    said(service, "compute", "create", "-n", "batch-cluster", "-o", "none")
    said(service, "batch-endpoint", "create", "-n", "things", "-o", "none")
    file = str(folder / "deployment.yml")
    create = ("batch-deployment", "create", "-f", file, "-e", "things")
    for args, code, expected in (
        (("job", "show", "-n", "absent"), 3, "there is no job absent"),
        (("compute", "show", "-n", "absent"), 3, "there is no compute named absent; there are: batch-cluster"),
        (("compute", "create", "-n", "x y"), 2, "--name: name: found 'x y'"),
        (("compute", "show", "-n", "batch-cluster", "--query", "["), 2, "--query"),
        ((*create[:3], str(folder / "absent.yml")), 2, "absent.yml: no such file"),
        ((*create, "--set", "settings.mini_batchsize=3"), 2, "did you mean 'mini_batch_size'?"),
        ((*create, "--set", "compute=absent"), 3, "there is no compute named absent"),
        ((*create, "--set", "code_configuration.scoring_script=absent.py"), 2, "code_configuration.scoring_script: "),
        ((*create, "--set", "model.path=absent"), 2, "model.path: there is no file or folder"),
        (("batch-endpoint", "invoke", "-n", "things", "--input", str(folder / "data")), 1, "set a default deployment"),
        (("batch-endpoint", "update", "-n", "things", "--set", "defaults.deployment_name=absent"), 3, "absent"),
    ):
        done = service.command(*args)
        assert (done.returncode, done.stdout) == (code, ""), f"{args}: {done.stderr}"
        assert expected in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "Traceback" not in done.stderr
    (folder / "code" / "score.py").write_text("def run(:\n")
    done = service.command(*create)
    assert done.returncode == 2
    # what only the service can know is said with the line of the user's file
    assert f"{file}:8: code_configuration.scoring_script: score.py:1 is no Python" in done.stderr
    assert service.client.batch_deployments.list("things") == []
    assert service.client.models.list() == []
    assert service.client.jobs.list() == []


def test_a_schedule_makes_jobs_by_itself(service: ServiceProcess, folder: Path) -> None:
    deploy(service, folder / "deployed", SCORE)
    (folder / "schedule.yml").write_text(
        "name: often\ntrigger: {type: recurrence, frequency: second, interval: 1}\ncreate_job:\n"
        "  type: batch_endpoint\n  endpoint: things\n  input: {type: uri_folder, path: data}\n"
    )
    shown = json.loads(said(service, "schedule", "create", "--file", str(folder / "schedule.yml")))
    assert shown["next_fire"] is not None
    ends = time.monotonic() + 120
    while len(completed := service.client.jobs.list(schedule_name="often", status="Completed")) < 2:
        assert time.monotonic() < ends, f"waited 120 s for two jobs: {service.client.schedules.show('often')}"
        time.sleep(0.2)
    assert len({job["fire_time"] for job in completed}) == len(completed)
    assert {job["trigger"] for job in completed} == {"schedule"}
    assert json.loads(said(service, "schedule", "disable", "-n", "often"))["next_fire"] is None
    assert said(service, "schedule", "list", "--query", "[].name", "-o", "tsv") == ""
    said(service, "schedule", "delete", "-n", "often", "--yes")
    said(service, "schedule", "show", "-n", "often", code=3)


def test_the_stream_without_a_broker_is_said_in_words(service: ServiceProcess) -> None:
    answer = service.client.stream()
    assert "127.0.0.1:9" in answer["state"]
    assert answer["lag"] is None


def test_sigterm_ends_the_service_and_its_workers(service: ServiceProcess, tmp_path: Path) -> None:
    deploy(service, tmp_path, SLOW, settings={"mini_batch_size": 1})
    job = service.client.batch_endpoints.invoke("things", {"input": {"path": str(files(tmp_path / "data", 30))}})[
        "name"
    ]
    until(service, job, lambda shown: shown["progress"]["mini_batches_done"] > 0)
    workers = service.children()
    assert workers
    before = len(service.log())
    assert service.stop() == 0
    assert "Traceback" not in service.log()[before:]
    assert not [worker for worker in workers if worker.is_running() and worker.status() != "zombie"]


def until(service: ServiceProcess, job: str, condition, limit: float = 120):
    """The job once the condition holds of it."""
    ends = time.monotonic() + limit
    while not condition(shown := service.client.jobs.show(job)):
        assert time.monotonic() < ends, f"waited {limit} s, the job is {shown}"
        time.sleep(0.1)
    return shown
