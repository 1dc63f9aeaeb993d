"""kill -9 of the whole service in the middle of a job: the next one ends the job, each row predicted once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from storage.postgres.engine import create_engine
from storage.postgres.migrate import upgrade
from tests.service_process import ServiceProcess, deploy, files

pytestmark = [pytest.mark.fault, pytest.mark.stack]

FILES = 40
LEASE_SECONDS = 15

# every call is noted outside the job's folder, before it is answered
SCRIPT = """\
import os, time

def run(mini_batch):
    with open(os.environ["CALLS"], "a") as calls:
        for path in mini_batch:
            calls.write(os.path.basename(path) + "\\n")
    time.sleep(0.25)
    return [os.path.basename(path) for path in mini_batch]
"""


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    engine = create_engine(database_url)
    upgrade(engine)
    engine.dispose()
    process = ServiceProcess(tmp_path / "home", database_url)
    yield process
    process.client.close()
    process.stop()


def wait_for_mini_batches(service: ServiceProcess, job: str, count: int) -> int:
    ends = time.monotonic() + 90
    while (done := service.client.jobs.show(job)["progress"]["mini_batches_done"]) < count:
        assert time.monotonic() < ends, f"waited 90 s for {count} mini-batches, {done} are done: {service.log()}"
        time.sleep(0.05)
    return int(done)


def wait_for_death(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert not alive, f"outlived the service by 20 s: {alive}"


def test_a_job_survives_its_service_being_killed_twice(service: ServiceProcess, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    data = files(tmp_path / "data", FILES)
    settings = {"mini_batch_size": 1, "max_concurrency_per_instance": 2, "environment_variables": {"CALLS": str(calls)}}
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
        service.start()

    last = list(service.client.jobs.stream(job, limit_seconds=120))[-1]
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
        list(service.client.jobs.stream(first["name"], limit_seconds=60 + LEASE_SECONDS))[-1]["status"] == "Completed"
    )
