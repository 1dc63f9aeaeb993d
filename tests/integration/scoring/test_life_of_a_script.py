"""A scoring script's life in real worker processes, from `init()` to `shutdown()`, and what it leaves in the logs."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scoring.compute.local import LocalCompute
from scoring.job import Job, JobStatus
from tests.contract.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def compute(engine: Engine, tmp_path: Path) -> Iterator[LocalCompute]:
    local = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs")
    yield local
    local.close()


def scored(engine: Engine, compute: LocalCompute, script: str, *, files: int = 6, **deployment: object) -> Job:
    engine.deploy(textwrap.dedent(script), **deployment)
    engine.files(files)
    engine.invoke()
    ended = engine.runner(compute).run_one()
    assert ended is not None
    return ended


def test_init_comes_first_and_shutdown_last_once_in_each_process(
    engine: Engine, compute: LocalCompute, tmp_path: Path
) -> None:
    script = """
        import os, time
        from typing import List
        def told(word):
            with open(os.environ["NOTES"], "a") as file:
                file.write(f"{os.getpid()} {word}\\n")
        def processes_that_ran():
            return {line.split()[0] for line in open(os.environ["NOTES"]) if " run " in line}
        def init():
            told("init")
        def run(mini_batch: List[str]) -> "pandas.DataFrame":
            assert all(os.path.isabs(path) and os.path.isfile(path) for path in mini_batch)
            told(f"run {len(mini_batch)}")
            late = time.monotonic() + 50
            while len(processes_that_ran()) < 2 and time.monotonic() < late:
                time.sleep(0.01)  # a process that is still in init() when the job is done would be ended there
            return mini_batch
        def shutdown():
            told("shutdown")
    """
    notes = tmp_path / "notes"
    variables = {"NOTES": str(notes)}
    job = scored(
        engine, compute, script, files=9, mini_batch_size=2, max_concurrency_per_instance=2,
        environment_variables=variables,
    )  # fmt: skip
    assert job.status is JobStatus.COMPLETED, job.status_reason
    lives: dict[str, list[str]] = {}
    for line in notes.read_text().splitlines():
        pid, _, word = line.partition(" ")
        lives.setdefault(pid, []).append(word)
    assert len(lives) == 2
    for words in lives.values():
        assert (words[0], words[-1]) == ("init", "shutdown")
        assert all(word.startswith("run ") for word in words[1:-1])
    runs = sorted(word for words in lives.values() for word in words if word.startswith("run"))
    assert runs == ["run 1", "run 2", "run 2", "run 2", "run 2"]

    states = (engine.folder / "jobs" / job.name / "logs/azureml/executionlogs.txt").read_text().splitlines()
    said = [line.split(" ", 1)[1].split(":")[0] for line in states]
    assert list(dict.fromkeys(said)) == ["Preparing", "Starting", "Running", "Finalizing", "Completed"]


def test_a_coroutine_is_no_result(engine: Engine, compute: LocalCompute) -> None:
    script = """
        async def run(mini_batch):
            return mini_batch
    """
    job = scored(engine, compute, script, max_retries=1)
    assert job.status is JobStatus.FAILED
    assert "run() of score.py returned coroutine; allowed are list, tuple" in str(job.status_reason)


def test_what_a_script_says_is_found_in_azures_tree(engine: Engine, compute: LocalCompute) -> None:
    script = """
        import logging, sys
        def run(mini_batch):
            print("printed")
            print("complained", file=sys.stderr)
            logging.info("logged")
            if "0001" in mini_batch[0]:
                raise ValueError("not this one")
            return mini_batch
    """
    job = scored(engine, compute, script, files=2, mini_batch_size=1, max_retries=1)
    user = engine.folder / "jobs" / job.name / "logs" / "user"
    (stdout,) = (user / "stdout").glob("*/process*.stdout.txt")
    assert stdout.read_text().count("printed") == 2
    assert stdout.read_text().count("logged") == 2
    (stderr,) = (user / "stderr").glob("*/process*.stderr.txt")
    assert "complained" in stderr.read_text()
    (error,) = (user / "error").glob("*/process*.txt")
    for file in (error, user / "error.txt"):
        assert "ValueError: not this one" in file.read_text()
        assert 'score.py", line 8, in run' in file.read_text()


def test_a_service_with_thousands_of_open_files_has_workers_like_any_other(
    engine: Engine, compute: LocalCompute
) -> None:
    script = """
        import os
        def run(mini_batch):
            return [os.path.basename(path) for path in mini_batch]
    """
    with ExitStack() as held:
        for _ in range(1100):  # select() takes no descriptor beyond 1023
            held.enter_context(open(os.devnull))
        job = scored(engine, compute, script, mini_batch_size=1, max_concurrency_per_instance=2)
    assert job.status is JobStatus.COMPLETED, job.status_reason
