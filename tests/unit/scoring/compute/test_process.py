"""A worker process as its parent sees it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoring.compute.process import WorkerGone, WorkerProcess, worker_environment


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    made = WorkerProcess.start(sys.executable, environment=worker_environment({}), output=tmp_path / "out.txt")
    yield made
    made.kill()


def heard(worker: WorkerProcess, seconds: float = 90.0) -> list[str]:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        messages = worker.messages()
        if messages:
            return [message["op"] for message in messages]
        time.sleep(0.01)
    raise AssertionError(f"nothing came in {seconds} s")


def test_it_says_hello_and_answers_until_it_is_killed(worker: WorkerProcess) -> None:
    assert heard(worker) == ["hello"]
    worker.send({"op": "end"})
    assert heard(worker) == ["ended"]
    worker.kill()
    assert not worker.is_alive
    with pytest.raises(WorkerGone):
        worker.send({"op": "end"})
    worker.kill()


def test_what_is_no_message_is_the_end_of_it(worker: WorkerProcess) -> None:
    assert heard(worker) == ["hello"]
    worker._received += b"\x00\x00\x00\x02[]"
    with pytest.raises(WorkerGone, match="sent what is no message"):
        worker.messages()
    worker._received[:] = b"\xff\xff\xff\xff"
    with pytest.raises(WorkerGone, match="announced a message of 4294967295 bytes"):
        worker.messages()


def test_an_interpreter_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-python"):
        WorkerProcess.start("/no-python", environment={}, output=tmp_path / "out.txt")


def test_workers_get_one_thread_and_no_password_but_keep_the_stacks_mark() -> None:
    found = worker_environment(
        {"PATH": "/bin", "TIDEMILL_POSTGRES_URL": "secret", "TIDEMILL_STACK": "/home", "MKL_NUM_THREADS": "4"}
    )
    assert "TIDEMILL_POSTGRES_URL" not in found
    assert (found["PATH"], found["TIDEMILL_STACK"]) == ("/bin", "/home")
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("1", "4")
