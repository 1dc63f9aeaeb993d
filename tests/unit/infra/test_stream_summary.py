"""Waiting for the workers of streams: for another one, for one that fails, for none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.devstack.state import Identity, PartState, StackState, SupervisorLock, write_state
from infra.settings import Settings
from infra.stream_summary import await_end, await_worker, worker_of
from ingestion.errors import InvalidInput, TryAgain
from tests.waiting import until


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A home whose supervisor this test seems to be."""
    made = Settings(home=tmp_path)
    made.paths.run.mkdir()
    lock = SupervisorLock(made.paths)
    assert lock.acquire()
    yield made
    lock.release()


def say(settings: Settings, **workers: PartState) -> None:
    own = Identity.of(os.getpid())
    assert own is not None
    parts = [PartState(name="stream", state="ready"), *workers.values()]
    write_state(settings.paths, StackState(supervisor=own, state="ready", parts=parts))


def a_worker(state: str, pid: int | None = None, restarts: int = 0) -> PartState:
    return PartState(
        name="stream-small",
        state=state,
        process=None if pid is None else Identity(pid=pid, started=0.0),
        restarts=restarts,
        last_error="ended: exit code 2" if restarts else None,
    )


def test_a_worker_that_is_ready_is_there_at_once_unless_another_is_awaited(settings: Settings) -> None:
    say(settings, small=a_worker("ready", 7))
    assert await_worker(settings.paths, "small", before=None, limit=5)
    with pytest.raises(TryAgain, match=r"waited 0\.3 s for the worker of stream small"):
        await_worker(settings.paths, "small", before=7, limit=0.3)
    changed = threading.Timer(0.3, lambda: say(settings, small=a_worker("ready", 8)))
    changed.start()
    assert await_worker(settings.paths, "small", before=7, limit=30)
    changed.join()


def test_a_worker_that_fails_again_is_told(settings: Settings) -> None:
    say(settings, small=a_worker("restarting", restarts=2))
    with pytest.raises(InvalidInput, match=r"stream small ended: exit code 2; see `tidemill logs stream-small`"):
        await_worker(settings.paths, "small", before=None, limit=30)


def test_without_a_stack_nobody_is_waited_for(tmp_path: Path) -> None:
    assert not await_worker(Settings(home=tmp_path).paths, "small", before=None, limit=30)
    assert worker_of(Settings(home=tmp_path).paths, "small") is None


def test_an_end_is_waited_for_also_of_a_worker_in_the_foreground(settings: Settings) -> None:
    say(settings)
    await_end(settings, "small", limit=5)
    say(settings, small=a_worker("ready", 7))
    with pytest.raises(TryAgain, match="to end; end it, and try again"):
        await_end(settings, "small", limit=0.3)
    say(settings)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "stream", "run"])
    try:
        # for a moment of its start a process has no command line
        until("its command line", lambda: psutil.Process(process.pid).cmdline()[-1:] == ["run"], pause=0.01)
        (settings.paths.run / "stream-small.json").write_text(json.dumps({"ready": True, "pid": process.pid}))
        with pytest.raises(TryAgain, match="to end; end it, and try again"):
            await_end(settings, "small", limit=0.3)
    finally:
        process.kill()
        process.wait()
    await_end(settings, "small", limit=60)
