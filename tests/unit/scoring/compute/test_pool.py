"""Warm processes: for the same place and recipe alone, until told otherwise, never after the pool's end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scoring.compute.pool import Recipe, WorkerPool
from scoring.compute.process import WorkerGone, WorkerProcess
from scoring.compute.zygote import CAN_FORK, Import
from tests.unit.scoring.test_worker import old_python

A = Recipe(key="a", python=sys.executable)
B = Recipe(key="b", python=sys.executable)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    made = WorkerPool(tmp_path)
    yield made
    made.close()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def said(worker: WorkerProcess) -> list[str]:
    """The words of a worker, once there are some; `gone` where its connection ends."""
    words: list[str] = []

    def heard() -> bool:
        try:
            words.extend(message["op"] for message in worker.messages())
        except WorkerGone:
            words.append("gone")
        return bool(words)

    wait_for(heard, "a word of the worker")
    return words


def test_a_warm_process_is_taken_again_for_its_place_and_recipe_alone(pool: WorkerPool) -> None:
    worker = pool.take("cpu/node0", A)
    pool.give_back("cpu/node0", A, worker)
    assert pool.idle == 1
    others = [pool.take("cpu/node0", B), pool.take("cpu/node1", A)]
    assert worker not in others
    assert pool.take("cpu/node0", A) is worker
    assert pool.idle == 0
    for one in (worker, *others):
        one.kill()


def test_one_that_died_while_it_was_idle_is_not_given_out(pool: WorkerPool) -> None:
    worker = pool.take("cpu/node0", A)
    pool.give_back("cpu/node0", A, worker)
    worker.kill()
    fresh = pool.take("cpu/node0", A)
    assert fresh is not worker
    assert said(fresh) == ["hello"]
    assert fresh.is_alive
    fresh.kill()


def test_a_place_that_is_dropped_has_no_process_any_more(pool: WorkerPool) -> None:
    workers = [pool.take(place, A) for place in ("cpu/node0", "cpu/node1")]
    for place, worker in zip(("cpu/node0", "cpu/node1"), workers, strict=True):
        assert said(worker) == ["hello"]
        pool.give_back(place, A, worker)
    assert pool.idle_pids("cpu/node0") == [workers[0].pid]
    pool.drop("cpu/node0")
    assert [worker.is_alive for worker in workers] == [False, True]
    assert pool.idle == 1


def test_closing_ends_all_and_starts_none(pool: WorkerPool) -> None:
    worker, busy = pool.take("cpu/node0", A), pool.take("cpu/node0", A)
    pool.give_back("cpu/node0", A, worker)
    pool.close()
    assert not worker.is_alive
    pool.give_back("cpu/node0", A, busy)
    assert not busy.is_alive
    with pytest.raises(OSError, match="closed"):
        pool.take("cpu/node0", A)


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked on Linux alone")
def test_workers_of_a_recipe_are_forked_from_one_parent_that_ends_after_its_time(pool: WorkerPool) -> None:
    first, second = pool.take("cpu/node0", A), pool.take("cpu/node0", A)
    (parent,) = pool.zygote_pids
    for worker in (first, second):
        assert said(worker) == ["hello"]
        status = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
        assert (int(status[1]), int(status[2])) == (parent, worker.pid), "the parent's child, in a group of its own"
        worker.kill()
    wait_for(lambda: pool.zygote_pids == [], "the parent's end")


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked on Linux alone")
def test_a_parent_that_is_killed_is_replaced_and_never_by_the_service_itself(pool: WorkerPool) -> None:
    for _ in range(4):
        worker = pool.take("cpu/node0", A)
        assert said(worker) == ["hello"]
        (parent,) = pool.zygote_pids
        status = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
        assert int(status[1]) == parent != os.getpid()
        os.kill(parent, signal.SIGKILL)
        worker.kill()


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked on Linux alone")
def test_two_workers_that_meet_the_same_bad_import_blame_it_once(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "m_busy.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()"
    )
    recipe = Recipe(key="busy", python=sys.executable, imports=[Import(module="json"), Import(module="m_busy")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        workers = [pool.take("cpu/node0", recipe) for _ in range(2)]
        again = []
        for worker in workers:
            assert said(worker) == ["gone"]
            assert pool.never_spoke(recipe, worker)
            again.append(pool.take("cpu/node0", recipe))
        assert [said(worker) for worker in again] == [["hello"], ["hello"]]
        assert again[0].parent is again[1].parent


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked on Linux alone")
def test_a_module_that_starts_threads_is_left_to_the_workers(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "m_busy.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()"
    )
    recipe = Recipe(key="busy", python=sys.executable, imports=[Import(module="json"), Import(module="m_busy")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        worker = pool.take("cpu/node0", recipe)
        assert said(worker) == ["gone"]
        assert pool.never_spoke(recipe, worker)
        worker.kill()
        again = pool.take("cpu/node0", recipe)
        assert said(again) == ["hello"]
        assert len(pool.zygote_pids) == 1, "it is forked all the same"
        again.kill()


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked on Linux alone")
def test_a_parent_that_dies_in_an_import_is_done_without(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "m_dies.py").write_text("import os; os._exit(3)")
    recipe = Recipe(key="dies", python=sys.executable, imports=[Import(module="m_dies")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        worker = pool.take("cpu/node0", recipe)
        assert said(worker) == ["gone"]
        assert pool.never_spoke(recipe, worker)
        again = pool.take("cpu/node0", recipe)
        assert said(again) == ["hello"]
        assert not pool.never_spoke(recipe, again)
        again.kill()


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked on Linux alone")
def test_an_old_interpreter_forks_too(pool: WorkerPool) -> None:
    python = old_python()
    if python is None:
        pytest.skip("there is no Python 3.8 here")
    worker = pool.take("cpu/node0", Recipe(key="old", python=python, imports=[Import(module="decimal")]))
    assert said(worker) == ["hello"]
    assert len(pool.zygote_pids) == 1
    worker.send({"op": "end"})
    assert said(worker) == ["ended"]
    worker.kill()
