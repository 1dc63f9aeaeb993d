"""Commands that do not behave: each ends in the documented state, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from scoring.compute.cluster import Compute
from scoring.compute.fleet import Fleet
from scoring.compute.news import no_news
from scoring.compute.process import worker_environment
from scoring.errors import JobFailed
from scoring.pipeline.command_process import Command, CommandEnd, CommandProcess
from tests.waiting import until


def run(
    folder: Path,
    line: str,
    *,
    should_stop: Callable[[], str | None] = lambda: None,
    timeout: int | None = None,
    cluster: Compute | None = None,
) -> CommandEnd:
    command = Command(
        argv=("bash", "-c", line),
        cwd=folder,
        environment={**worker_environment(os.environ), "MARK": str(folder)},
        log=folder / "user_logs" / "std_log_0.txt",
        lock=folder / "lock",
        timeout=timeout,
    )
    process = CommandProcess(Fleet(drop=lambda place: None))
    return process.run(
        command, job="j", cluster=cluster or Compute(name="cpu"), should_stop=should_stop, on_news=no_news
    )


def log(folder: Path) -> bytes:
    return (folder / "user_logs" / "std_log_0.txt").read_bytes()


def left_of(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_both_streams_go_into_one_log_and_the_last_errors_are_told(tmp_path: Path) -> None:
    end = run(tmp_path, "echo out; echo err >&2; exit 4")
    assert (end.code, end.words, end.stopped) == (4, "err\n", None)
    assert log(tmp_path) == b"out\nerr\n"
    assert end.usage.core_seconds is not None
    assert end.usage.core_seconds > 0


@pytest.mark.parametrize(
    "line",
    [
        "(setsid sleep 600 &); (sleep 600 &); sleep 0.1",
        "python3 -c 'import os, time\nif not os.fork():\n os.setsid()\n os.fork() or time.sleep(600)\n os._exit(0)'",
        "nohup sleep 600 > /dev/null 2>&1 & disown",
    ],
    ids=["setsid", "daemon", "nohup"],
)
def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path, line: str) -> None:
    end = run(tmp_path, line)
    assert end.code == 0
    assert end.strays >= 1
    assert left_of(tmp_path) == []


def test_a_cancel_ends_what_ignores_it_with_all_that_it_forked(tmp_path: Path) -> None:
    line = "trap '' TERM INT HUP; (trap '' TERM; setsid sleep 600) & touch begun; while true; do sleep 0.05; done"
    end = run(tmp_path, line, should_stop=lambda: "canceled" if (tmp_path / "begun").exists() else None)
    assert (end.code, end.stopped) == (-9, "canceled")
    assert left_of(tmp_path) == []


def test_a_cancel_lets_a_command_say_goodbye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.pipeline.command_process._GRACE_SECONDS", 25.0)  # a busy machine's shell is slow
    line = "trap 'echo goodbye; exit 0' TERM; touch begun; while true; do sleep 0.05; done"
    end = run(tmp_path, line, should_stop=lambda: "canceled" if (tmp_path / "begun").exists() else None)
    assert (end.code, end.stopped) == (0, "canceled")
    assert b"goodbye\n" in log(tmp_path)  # before it, the shell may tell of its child: "Terminated"


def test_a_gigabyte_of_prints_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    count = 300_000_000
    end = run(tmp_path, f"head -c {count} /dev/zero | tr '\\0' x; echo; echo the end")
    assert end.code == 0
    kept = log(tmp_path)
    assert len(kept) < 70 * 1024 * 1024
    assert kept.startswith(b"xxxx")
    assert b"more than the 64 MiB that are kept" in kept
    assert kept.endswith(b"\nthe end\n")


def test_closed_streams_do_not_end_the_wait(tmp_path: Path) -> None:
    assert run(tmp_path, "exec >&- 2>&-; sleep 0.5; exit 5").code == 5


def test_a_time_limit_counts_from_the_commands_start(tmp_path: Path) -> None:
    end = run(tmp_path, "sleep 600", timeout=1)
    assert end.stopped == "it took longer than 1 s (limits.timeout)"


def test_who_kills_its_group_kills_itself_alone(tmp_path: Path) -> None:
    assert run(tmp_path, "kill -9 0").code == -9


def test_who_kills_its_keeper_fails_and_is_ended(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="the process that keeps the command ended"):
        run(tmp_path, "kill -9 $PPID; sleep 600")
    until("nothing of it is left", lambda: left_of(tmp_path), lambda left: not left)


def test_memory_has_the_clusters_limit(tmp_path: Path) -> None:
    line = "python3 -c 'x = bytearray(1 << 30)'"
    end = run(tmp_path, line, cluster=Compute(name="cpu", worker_memory_mb=256))
    assert end.code == 1
    assert "MemoryError" in end.words


def test_a_cluster_without_instances_can_run_nothing(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="max_instances 0"):
        run(tmp_path, "true", cluster=Compute(name="cpu", max_instances=0))


def test_a_second_run_of_a_job_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    began = time.monotonic()
    with (tmp_path / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        end = run(tmp_path, "true", should_stop=lambda: "enough" if time.monotonic() - began > 1 else None)
    assert end.stopped == "enough"
    assert run(tmp_path, "true").code == 0


def test_a_service_with_thousands_of_open_files_runs_commands_like_any_other(tmp_path: Path) -> None:
    with ExitStack() as held:
        for _ in range(1100):  # select() takes no descriptor beyond 1023
            held.enter_context(open(os.devnull))
        end = run(tmp_path, "echo out; exit 3")
    assert (end.code, log(tmp_path)) == (3, b"out\n")
