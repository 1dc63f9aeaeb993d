"""Warm processes: for the same key alone, for a while, never after the pool's end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoring.compute.pool import WorkerPool


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    made = WorkerPool(tmp_path)
    yield made
    made.close()


def test_a_warm_process_is_taken_again_for_its_key_alone(pool: WorkerPool) -> None:
    worker = pool.take("a", sys.executable)
    pool.give_back("a", worker, keep=60)
    assert pool.idle == 1
    other = pool.take("b", sys.executable)
    assert other is not worker
    assert pool.take("a", sys.executable) is worker
    assert pool.idle == 0
    worker.kill()
    other.kill()


def test_one_that_died_while_it_was_idle_is_not_given_out(pool: WorkerPool) -> None:
    worker = pool.take("a", sys.executable)
    pool.give_back("a", worker, keep=60)
    worker.kill()
    fresh = pool.take("a", sys.executable)
    assert fresh is not worker
    assert fresh.is_alive
    fresh.kill()


def test_an_idle_process_ends_after_its_time(pool: WorkerPool) -> None:
    worker = pool.take("a", sys.executable)
    pool.give_back("a", worker, keep=0.2)
    ends = time.monotonic() + 15
    while worker.is_alive:
        assert time.monotonic() < ends, "waited 15 s for the idle process to end"
        time.sleep(0.05)
    assert pool.idle == 0


def test_kept_for_no_time_it_ends_now(pool: WorkerPool) -> None:
    worker = pool.take("a", sys.executable)
    pool.give_back("a", worker, keep=0)
    assert not worker.is_alive


def test_closing_ends_all_and_starts_none(pool: WorkerPool) -> None:
    worker, busy = pool.take("a", sys.executable), pool.take("a", sys.executable)
    pool.give_back("a", worker, keep=60)
    pool.close()
    assert not worker.is_alive
    pool.give_back("a", busy, keep=60)
    assert not busy.is_alive
    with pytest.raises(OSError, match="closed"):
        pool.take("a", sys.executable)
