"""kill -9 of the service in the middle of a pipeline: the next one goes on, and runs no completed step again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.service_process import ServiceProcess, service_on
from tests.waiting import until

pytestmark = [pytest.mark.fault, pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service_on(database_url, tmp_path / "home") as process:
        yield process


def test_a_pipeline_survives_its_service_being_killed_in_each_of_its_steps(
    service: ServiceProcess, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def step(name: str, *reads: str) -> dict[str, object]:
        # each start leaves a mark; the first one of each hangs until it is killed, half of its output written
        line = f"cd ${{{{outputs.o}}}}; ls >> {marks}/{name}.found; echo x >> {marks}/{name}; echo half > half; "
        line += f"if [ $(wc -l < {marks}/{name}) = 1 ]; then setsid sleep 600 & sleep 600; fi; "
        line += "echo done > done"
        inputs = {other: f"${{{{parent.jobs.{other}.outputs.o}}}}" for other in reads}
        return {"command": line, "inputs": inputs, "outputs": {"o": None}}

    service.start()
    pipeline = {"type": "pipeline", "jobs": {"a": step("a"), "b": step("b", "a")}}
    job = service.client.jobs.create(pipeline)["name"]
    for name in "ab":
        until(f"step {name} has begun", (marks / name).exists)
        running = until("its processes", lambda: _sleeping(service), lambda found: len(found) == 2)
        service.kill()
        # its keeper sees that the service is gone
        _, alive = psutil.wait_procs(running, timeout=90)
        assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE], "a command outlived it"
        service.start()
    last = list(service.client.jobs.stream(job, limit_seconds=240))[-1]
    assert last["status"] == "Completed", last
    for name in "ab":
        assert (marks / name).read_text() == "x\nx\n", f"step {name} was begun twice: once for its kill, once for good"
        assert (marks / f"{name}.found").read_text() == "", "it began again with its output empty"
        output = Path(service.client.jobs.show(f"{job}.{name}")["outputs"]["o"]["path"])
        assert (output / "done").read_text() == "done\n"
    states = {child["status"] for child in service.client.jobs.list(parent_job_name=job)}
    assert states == {"Completed"}


def _sleeping(service: ServiceProcess) -> list[psutil.Process]:
    return [process for process in service.children() if _words(process).startswith("sleep")]


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
