"""Clusters at work: instances taken away, jobs that wait for one another, what it costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scoring.compute.local import LocalCompute
from scoring.compute.upkeep import Upkeep
from scoring.job import JobStatus
from tests.contract.engine import Engine

pytestmark = pytest.mark.fault

SLOW = "import os, time\ndef run(m):\n    time.sleep(0.1)\n    return [f'{os.path.basename(p)}' for p in m]\n"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def compute(engine: Engine, tmp_path: Path) -> Iterator[LocalCompute]:
    local = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs")
    yield local
    local.close()


def configure(engine: Engine, **changes: object) -> None:
    engine.catalog.put(replace(engine.catalog.compute("cluster"), **changes))  # type: ignore[arg-type]


def wait_for(condition: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def test_a_job_whose_instances_are_taken_away_again_and_again_loses_and_repeats_nothing(
    engine: Engine, compute: LocalCompute
) -> None:
    configure(engine, tier="low_priority", max_instances=2)
    engine.deploy(SLOW, instance_count=2, max_retries=1)
    engine.files(80)
    engine.invoke()
    ended = threading.Event()
    taken: list[str] = []

    def take_away() -> None:
        # not for ever: on a slow machine no worker would be ready between two of them
        while len(taken) < 8 and not ended.wait(0.25):
            taken.extend(compute.fleet.preempt("cluster"))

    thief = threading.Thread(target=take_away)
    thief.start()
    try:
        job = engine.runner(compute).run_one()
    finally:
        ended.set()
        thief.join()
    assert job is not None
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert engine.sink.rows[job.name] == [f"folder-{n:04d}.txt" for n in range(80)]
    assert len(taken) >= 2
    assert job.progress.retries == 0, "an instance that is taken away is no failed try"


def test_a_second_job_waits_for_the_only_instance_and_says_so(engine: Engine, compute: LocalCompute) -> None:
    configure(engine, max_instances=1)
    go = engine.folder / "go"
    waits = f"while not os.path.exists({str(go)!r}): time.sleep(0.02)"
    engine.deploy(f"import os, time\ndef run(m):\n    {waits}\n    return m\n")
    engine.files(2)
    first, second = engine.invoke(), engine.invoke()
    runners = [threading.Thread(target=engine.runner(compute, owner=f"r{n}").run_one) for n in range(2)]
    for runner in runners:
        runner.start()
    try:
        reasons = lambda: {str(engine.jobs.get(job.name).status_reason) for job in (first, second)}  # noqa: E731
        wait_for(lambda: any("waits for an instance of compute cluster" in r for r in reasons()), "the second to wait")
        assert {engine.jobs.get(job.name).status for job in (first, second)} >= {JobStatus.PROVISIONING}
        assert len(compute.fleet.nodes("cluster")) == 1
    finally:
        go.touch()
        for runner in runners:
            runner.join()
    assert {engine.jobs.get(job.name).status for job in (first, second)} == {JobStatus.COMPLETED}


def test_what_a_job_costs_is_on_the_job_and_on_its_nodes(engine: Engine, compute: LocalCompute) -> None:
    configure(engine, idle_time_before_scale_down=60)
    engine.deploy(
        "import time\ndef run(m):\n    ends = time.process_time() + 0.3\n    while time.process_time() < ends: pass\n"
        "    return m\n"
    )
    engine.files(4)
    engine.invoke()
    job = engine.runner(compute).run_one()
    assert job is not None
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert job.usage.core_seconds is not None
    assert job.usage.core_seconds >= 0.55
    assert job.usage.worker_seconds >= job.usage.core_seconds - 0.1
    assert (job.usage.instances, job.usage.processes) == (1, 1)
    (node,) = compute.fleet.nodes("cluster")
    assert node.core_seconds == pytest.approx(job.usage.core_seconds, abs=0.25)
    assert len(node.pids) == 1
    assert node.memory_bytes is not None
    assert node.memory_bytes > 1 << 20


def test_idle_instances_scale_to_zero_with_all_their_processes(engine: Engine, compute: LocalCompute) -> None:
    configure(engine, idle_time_before_scale_down=1)
    engine.files(2)
    engine.invoke()
    engine.runner(compute).run_one()
    assert compute.pool.idle == 1
    wait_for(lambda: not compute.fleet.nodes("cluster"), "the instance to end")
    wait_for(lambda: not compute.pool.idle and not compute.pool.zygote_pids, "its processes to end")


def test_min_instances_have_the_imports_of_default_deployments_made_before_the_first_job(
    engine: Engine, compute: LocalCompute
) -> None:
    configure(engine, min_instances=1)
    deployment = engine.deploy("import decimal\ndef run(m):\n    return m\n")
    Upkeep(
        compute=compute,
        clusters=lambda: [engine.catalog.compute("cluster")],
        deployments=lambda: [deployment],
    ).look()
    (ready,) = compute.pool.zygote_pids
    engine.files(2)
    engine.invoke()
    job = engine.runner(compute).run_one()
    assert job is not None
    assert job.status is JobStatus.COMPLETED
    assert compute.pool.zygote_pids == [ready]
    assert len(compute.fleet.nodes("cluster")) == 1


def test_a_job_is_told_of_a_deployments_own_interpreter(engine: Engine, tmp_path: Path) -> None:
    import sys

    own = tmp_path / "own-python"
    own.write_text(f'#!/bin/sh\nOWN=yes exec {sys.executable} "$@"\n')
    own.chmod(0o755)
    compute = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs", interpreter_of=lambda deployment: str(own))
    engine.deploy("import os\ndef run(m):\n    return [os.environ.get('OWN')] * len(m)\n")
    engine.files(2)
    engine.invoke()
    try:
        job = engine.runner(compute).run_one()
    finally:
        compute.close()
    assert job is not None
    assert engine.sink.rows[job.name] == ["yes", "yes"]
