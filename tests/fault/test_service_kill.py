"""kill -9 of the whole service in the middle of a job: the next one ends the job, each row predicted once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from infra.this_machine import machine, started
from scoring.errors import LeaseLost
from scoring.invoke import Invocation, new_job
from scoring.job import JobInput, JobInputType
from scoring.owner import Owner
from storage.postgres.catalog import PostgresCatalog
from storage.postgres.engine import create_engine
from storage.postgres.job_store import PostgresJobStore
from tests.service_process import ServiceProcess, deploy, files, service_on
from tests.waiting import until

pytestmark = [pytest.mark.fault, pytest.mark.stack, pytest.mark.timeout(600)]

FILES = 40
LEASE_SECONDS = 15

# every call is noted outside the job's folder, before it is answered; no more of them than the gate lets through, so
# that the job is not over before it is killed
SCRIPT = """\
import os, time

def run(mini_batch):
    while len(open(os.environ["CALLS"]).readlines()) >= int(open(os.environ["GATE"]).read() or 0):
        time.sleep(0.05)
    with open(os.environ["CALLS"], "a") as calls:
        for path in mini_batch:
            calls.write(os.path.basename(path) + "\\n")
    time.sleep(0.1)
    return [os.path.basename(path) for path in mini_batch]
"""


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service_on(database_url, tmp_path / "home") as process:
        yield process


def wait_for_mini_batches(service: ServiceProcess, job: str, count: int) -> int:
    look = lambda: int(service.client.jobs.show(job)["progress"]["mini_batches_done"])  # noqa: E731
    return until(f"{count} mini-batches are done", look, lambda done: done >= count)


def wait_for_death(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=90)
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert not alive, f"outlived the service by 90 s: {alive}"


def test_a_job_survives_its_service_being_killed_twice(service: ServiceProcess, tmp_path: Path) -> None:
    calls, gate = tmp_path / "calls", tmp_path / "gate"
    calls.touch()
    gate.write_text("20")
    data = files(tmp_path / "data", FILES)
    settings = {
        "mini_batch_size": 1,
        "max_concurrency_per_instance": 2,
        "retry_settings": {"timeout": 200},
        "environment_variables": {"CALLS": str(calls), "GATE": str(gate)},
    }
    service.start()
    deploy(service, tmp_path, SCRIPT, settings=settings)
    job = service.client.batch_endpoints.invoke("things", {"input": {"path": str(data)}})["name"]

    for killed_after in (5, 15):
        done = wait_for_mini_batches(service, job, killed_after)
        assert done < FILES, "the job must be killed in its middle"
        workers = service.children()
        assert workers
        service.kill()
        wait_for_death(workers)
        gate.write_text("34" if killed_after == 5 else "1000")
        service.start()

    last = list(service.client.jobs.stream(job, limit_seconds=240))[-1]
    assert last["status"] == "Completed", last
    assert last["progress"]["items_succeeded"] == FILES
    expected = [f"f{number:03}.txt" for number in range(FILES)]
    written = (Path(last["outputs"]["score"]["path"]) / "predictions.csv").read_text().splitlines()
    assert written == expected

    # what had been recorded was not scored again: only what was under way at the two kills, or not recorded yet
    called = calls.read_text().splitlines()
    assert set(called) == set(expected)
    assert len(called) - FILES <= 2 * 6


def test_a_killed_service_makes_no_job_twice_from_a_repeated_request(service: ServiceProcess, tmp_path: Path) -> None:
    data = files(tmp_path / "data", 2)
    service.start()
    deploy(service, tmp_path, "def run(mini_batch):\n    return mini_batch\n")
    body = {"input": {"path": str(data)}}
    first = service.client.batch_endpoints.invoke("things", body, request_key="the-same")
    service.kill()
    service.start()
    again = service.client.batch_endpoints.invoke("things", body, request_key="the-same")
    assert again["name"] == first["name"]
    assert [job["name"] for job in service.client.jobs.list()] == [first["name"]]
    assert (
        list(service.client.jobs.stream(first["name"], limit_seconds=120 + LEASE_SECONDS))[-1]["status"] == "Completed"
    )


def test_a_job_of_a_dead_service_is_taken_over_long_before_its_lease_ends(
    service: ServiceProcess, database_url: str, tmp_path: Path
) -> None:
    data = files(tmp_path / "data", 3)
    service.start()
    deploy(service, tmp_path, "def run(mini_batch):\n    return mini_batch\n")
    service.stop()
    engine = create_engine(database_url)
    store = PostgresJobStore(engine)
    # a service of this machine that was killed a moment ago, with a lease of an hour
    dead = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = Owner(machine=machine(), pid=dead.pid, started=str(started(dead.pid)), number=0)
    dead.kill()
    dead.wait()
    deployment = PostgresCatalog(engine).deployment("things", "first")
    invocation = Invocation(input=JobInput(type=JobInputType.URI_FOLDER, path=str(data)))
    store.add(new_job("orphan", deployment, invocation, now=datetime.now(UTC)))
    held = store.claim(str(owner), timedelta(hours=1))
    assert held is not None
    service.start()
    assert list(service.client.jobs.stream("orphan", limit_seconds=240))[-1]["status"] == "Completed"
    assert "taken over from a process that is gone: orphan" in service.log()
    with pytest.raises(LeaseLost):
        store.record(held, [])
    engine.dispose()


def test_a_resumed_job_survives_its_service_being_killed(service: ServiceProcess, tmp_path: Path) -> None:
    calls, gate = tmp_path / "calls", tmp_path / "gate"
    calls.touch()
    gate.write_text("20")
    data = files(tmp_path / "data", FILES)
    settings = {
        "mini_batch_size": 1,
        "max_concurrency_per_instance": 2,
        "retry_settings": {"timeout": 200},
        "environment_variables": {"CALLS": str(calls), "GATE": str(gate)},
    }
    service.start()
    deploy(service, tmp_path, SCRIPT, settings=settings)
    job = service.client.batch_endpoints.invoke("things", {"input": {"path": str(data)}})["name"]
    wait_for_mini_batches(service, job, 4)
    service.client.jobs.cancel(job)
    assert list(service.client.jobs.stream(job, limit_seconds=120))[-1]["status"] == "Canceled"
    gate.write_text("34")
    assert service.client.jobs.resume(job)["round"] == 1
    done = wait_for_mini_batches(service, job, 10)
    assert done < FILES, "the job must be killed in its middle"
    workers = service.children()
    service.kill()
    wait_for_death(workers)
    gate.write_text("1000")
    service.start()
    last = list(service.client.jobs.stream(job, limit_seconds=240))[-1]
    assert (last["status"], last["round"], last["progress"]["items_succeeded"]) == ("Completed", 1, FILES)
    written = (Path(last["outputs"]["score"]["path"]) / "predictions.csv").read_text().splitlines()
    assert written == [f"f{number:03}.txt" for number in range(FILES)]
    called = calls.read_text().splitlines()
    assert len(called) - FILES <= 2 * 6
    assert last["usage"]["worker_seconds"] > 0
