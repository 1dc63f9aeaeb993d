"""Hostile scoring scripts in real worker processes: each ends in its documented state, with one sentence."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoring.compute.local import LocalCompute
from scoring.job import Job, JobStatus
from scoring.minibatch import MiniBatchOutcome
from tests.contract.engine import Engine

pytestmark = pytest.mark.fault


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def compute(engine: Engine, tmp_path: Path) -> Iterator[LocalCompute]:
    local = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs")
    yield local
    local.close()


def score(engine: Engine, compute: LocalCompute, script: str, *, files: int = 6, **deployment: object) -> Job:
    """Deploy the script, invoke it over that many files, run the job to its end."""
    engine.deploy(textwrap.dedent(script), **deployment)
    engine.files(files)
    engine.invoke()
    ended = engine.runner(compute).run_one()
    assert ended is not None
    assert ended == engine.jobs.get(ended.name)
    return ended


def rows(engine: Engine, job: Job) -> list[str]:
    return engine.sink.rows[job.name]


def log(engine: Engine, job: Job, path: str) -> str:
    return (engine.folder / "jobs" / job.name / "logs" / path).read_text()


def test_a_good_script_scores_every_file_once(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        import os
        def init():
            global calls
            calls = 0
        def run(mini_batch):
            global calls
            calls += 1
            return [f"{os.path.basename(path)} {open(path).read()}" for path in mini_batch]
        """,
        files=7,
        max_concurrency_per_instance=2,
    )
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert rows(engine, job) == [f"folder-{n:04d}.txt {n}" for n in range(7)]
    assert (job.progress.mini_batches_done, job.progress.items_succeeded, job.progress.items_failed) == (4, 7, 0)
    assert job.status_reason == "7 of 7 items succeeded in 4 mini-batches"


def test_raising_in_init_fails_the_job_with_the_scripts_traceback(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        def init():
            load()
        def load():
            raise FileNotFoundError("weights.pt")
        def run(mini_batch):
            return mini_batch
        """,
    )
    assert job.status is JobStatus.FAILED
    assert job.status_reason == (
        "no worker process could be made ready, 3 tries: init() of score.py raised FileNotFoundError: weights.pt "
        "(score.py, line 3)"
    )
    assert job.error is not None
    lines = job.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('code/score.py", line 3, in init')
    assert "scoring/" not in job.error
    assert lines[-1] == "FileNotFoundError: weights.pt"


def test_raising_in_run_is_tried_again_in_the_same_process(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        import os
        calls = 0
        def run(mini_batch):
            global calls
            calls += 1
            if calls <= 2:
                raise ValueError(f"boom in call {calls}")
            return [f"{os.getpid()} {calls}" for path in mini_batch]
        """,
        files=2,
    )
    assert job.status is JobStatus.COMPLETED
    assert [row.split()[1] for row in rows(engine, job)] == ["3", "3"]
    assert job.progress.retries == 2


def test_raising_always_fails_its_items_and_keeps_the_first_traceback(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        def run(mini_batch):
            if any("0002" in path for path in mini_batch):
                raise ValueError("bad \\ud800 file \\0")
            return mini_batch
        """,
    )
    assert job.status is JobStatus.COMPLETED
    assert (job.progress.items_succeeded, job.progress.items_failed) == (4, 2)
    _, results = engine.jobs.manifest(job)
    failed = next(r for r in results if r.outcome is MiniBatchOutcome.FAILED)
    assert failed.tries == 3
    assert failed.error == (
        "run() of score.py raised ValueError: bad \\ud800 file \\x00 (score.py, line 4), in 3 tries"
    )
    assert failed.traceback is not None
    assert 'score.py", line 4, in run' in failed.traceback
    assert failed.traceback in log(engine, job, "user/error.txt")


def test_the_error_threshold_ends_the_job(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        "def run(mini_batch):\n    raise RuntimeError('no')\n",
        files=20,
        error_threshold=3,
        max_retries=1,
    )
    assert job.status is JobStatus.FAILED
    assert job.status_reason == (
        "4 items failed, error_threshold allows 3; first: run() of score.py raised RuntimeError: no (score.py, line 2)"
    )
    assert job.error is not None
    assert job.progress.mini_batches_done == 2  # of 10: the others were not tried any more


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ("sys.exit(3)", "run() of score.py asked the process to exit: 3 (score.py, line 5)"),
        ("os._exit(5)", "the worker process ended with exit code 5 in run() of score.py"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the worker process was killed by signal 11, SIGSEGV in run()"),
        ("ctypes.string_at(0)", "the worker process was killed by signal 11, SIGSEGV in run()"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9, SIGKILL (out of memory?) in run()"),
    ],
)
def test_a_process_that_dies_is_replaced(engine: Engine, compute: LocalCompute, deed: str, told: str) -> None:
    job = score(
        engine,
        compute,
        f"""
        import ctypes, os, signal, sys
        def run(mini_batch):
            if any("0002" in path for path in mini_batch):
                {deed}
            return [os.getpid() for path in mini_batch]
        """,
        max_retries=2,
    )
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert (job.progress.items_succeeded, job.progress.items_failed) == (4, 2)
    _, results = engine.jobs.manifest(job)
    failed = next(r for r in results if r.outcome is MiniBatchOutcome.FAILED)
    assert failed.tries == 2
    assert told in str(failed.error)


@pytest.mark.parametrize("loop", ["while True: pass", "time.sleep(1000)"])
def test_a_hanging_run_is_killed_with_its_children(engine: Engine, compute: LocalCompute, loop: str) -> None:
    started = time.monotonic()
    job = score(
        engine,
        compute,
        f"""
        import subprocess, time
        def run(mini_batch):
            if any("0002" in path for path in mini_batch):
                child = subprocess.Popen(["sleep", "1000"])
                with open({str(engine.folder / "children")!r}, "a") as file:
                    print(child.pid, file=file)
                {loop}
            return mini_batch
        """,
        timeout=2,
        max_retries=2,
    )
    assert time.monotonic() - started < 200
    assert job.status is JobStatus.COMPLETED
    _, results = engine.jobs.manifest(job)
    failed = next(r for r in results if r.outcome is MiniBatchOutcome.FAILED)
    assert failed.error == "run() of score.py took longer than 2 s (retry_settings.timeout), in 2 tries"
    children = (engine.folder / "children").read_text().split()
    assert len(children) == 2
    # killed, but on a busy machine not gone at once
    wait_for(lambda: not any(is_running(int(pid)) for pid in children), "the children's end")


def test_a_hanging_init_ends_the_job(engine: Engine, compute: LocalCompute, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    monkeypatch.setattr("scoring.compute.job_run.init_limit", lambda timeout: timedelta(seconds=0.5))
    job = score(engine, compute, "import time\ndef init():\n    time.sleep(99)\ndef run(m):\n    return m\n")
    assert job.status is JobStatus.FAILED
    assert job.status_reason == (
        "no worker process could be made ready, 3 tries: init() of score.py took longer than 0 s"
    )


def test_a_flood_of_prints_neither_garbles_results_nor_fills_the_disk(
    engine: Engine, compute: LocalCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.compute.workplace._LOG_LIMIT", 2 << 20)
    monkeypatch.setattr("scoring.compute.workplace._LOG_KEPT", 1 << 20)
    job = score(
        engine,
        compute,
        """
        import os, sys
        def run(mini_batch):
            for _ in range(100):
                print("x" * 100_000)
            sys.stderr.write("warned\\n")
            os.system("echo from a child")
            os.write(1, b"\\0\\0\\0\\7not for the protocol")
            return mini_batch
        """,
        files=2,
    )
    assert job.status is JobStatus.COMPLETED
    assert len(rows(engine, job)) == 2
    printed = engine.folder / "jobs" / job.name / "logs/user/stdout/node0/process000.stdout.txt"
    assert printed.stat().st_size < 2 << 20
    assert printed.read_text().endswith("beyond 2 MiB)\n")
    assert log(engine, job, "user/stderr/node0/process000.stderr.txt") == "warned\n"


@pytest.mark.parametrize(
    "deed",
    [
        "sys.stdout.close()",
        "os.close(1); os.close(2)",
        "os.chdir('/')",
        "os.closerange(0, 3)",
        "sys.stdin.read()",
        "sys.path.clear()",
        "os.environ.clear()",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "sys.modules.pop('json')",
        "threading.Thread(target=time.sleep, args=(100,), daemon=True).start()",
        "os.fork() or os._exit(0)",
        "os.fork()",  # its child comes back from run() too, and must not answer
    ],
)
def test_what_a_script_does_to_its_process_harms_no_result(engine: Engine, compute: LocalCompute, deed: str) -> None:
    job = score(
        engine,
        compute,
        f"""
        import os, signal, sys, threading, time
        done = False
        def run(mini_batch):
            global done
            if not done:
                {deed}
            done = True
            return [os.path.basename(path) for path in mini_batch]
        """,
        timeout=60,
    )
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert rows(engine, job) == [f"folder-{n:04d}.txt" for n in range(6)]
    assert job.progress.retries == 0


def test_rows_of_every_kind_are_written_as_their_text(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        import datetime, threading
        class Odd:
            def __str__(self): return "odd"
        def run(mini_batch):
            return [None, float("nan"), "zwölf µ 🚰", {"a": [1, "b"]}, (1,), Odd(), lambda: 0, threading.Lock()][:6]
        """,
        files=6,
        mini_batch_size=6,
    )
    assert job.status is JobStatus.COMPLETED
    assert rows(engine, job) == ["None", "nan", "zwölf µ 🚰", "{'a': [1, 'b']}", "(1,)", "odd"]


def test_a_row_whose_text_cannot_be_made(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        class Bad:
            def __str__(self): raise KeyError("no text")
        def run(mini_batch):
            return [Bad()] * 2
        """,
        files=2,
        max_retries=1,
    )
    assert job.status is JobStatus.FAILED
    assert "writing what run() of score.py returned raised KeyError: 'no text' (score.py, line 3)" in str(
        job.status_reason
    )


def test_a_data_frame_is_written_space_separated(engine: Engine, compute: LocalCompute) -> None:
    job = score(
        engine,
        compute,
        """
        import pandas
        def run(mini_batch):
            return pandas.DataFrame({"file": ["a b", "c"], "score": [0.5, None], "n": [1, 2]})
        """,
        files=2,
    )
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert rows(engine, job) == ['"a b" 0.5 1', "c  2"]


def test_kill_9_of_workers_in_the_middle_scores_each_file_once(engine: Engine, compute: LocalCompute) -> None:
    pids, enough = engine.folder / "pids", engine.folder / "enough"
    stop = threading.Event()
    killed: set[int] = set()

    def kill_workers() -> None:
        while not stop.wait(0.25) and len(killed) < 5:
            alive = {int(pid) for pid in pids.read_text().split()} - killed if pids.exists() else set()
            for pid in list(alive)[-1:]:
                killed.add(pid)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if len(killed) >= 3:
                enough.touch()

    killer = threading.Thread(target=kill_workers)
    killer.start()
    try:
        job = score(
            engine,
            compute,
            f"""
            import os, time
            def init():
                with open({str(pids)!r}, "a") as file:
                    print(os.getpid(), file=file)
            def run(mini_batch):
                time.sleep(0.03)
                while "0159" in mini_batch[-1] and not os.path.exists({str(enough)!r}):
                    time.sleep(0.03)
                return [os.path.basename(path) for path in mini_batch]
            """,
            files=160,
            max_concurrency_per_instance=2,
            max_retries=10,
        )
    finally:
        stop.set()
        killer.join()
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert len(killed) >= 3
    assert rows(engine, job) == [f"folder-{n:04d}.txt" for n in range(160)]
    assert job.progress.items_failed == 0


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    import subprocess

    script = "import os, time\ndef run(m):\n    print(os.getpid(), flush=True)\n    time.sleep(600)\n    return m\n"
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from scoring.compute.local import LocalCompute
        from tests.contract.engine import Engine
        engine = Engine(Path({str(tmp_path)!r}))
        engine.deploy({script!r}, timeout=600)
        engine.files(2)
        engine.invoke()
        engine.runner(LocalCompute(engine.catalog.compute, folder=Path({str(tmp_path)!r}, "logs"))).run_one()
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    printed = tmp_path / "jobs/job-1/logs/user/stdout/node0/process000.stdout.txt"
    try:
        wait_for(lambda: printed.exists() and printed.read_text().strip(), "the worker to begin")
        worker = int(printed.read_text())
        assert is_running(worker)
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not is_running(worker), "the worker to die")


def test_a_canceled_job_ends_at_once(engine: Engine, compute: LocalCompute) -> None:
    from dataclasses import replace

    engine.deploy("import time\ndef run(m):\n    time.sleep(600)\n    return m\n", timeout=600)
    engine.files(2)
    job = engine.invoke()
    folder = engine.folder / "jobs" / job.name / "logs/user/stdout/node0"

    def cancel() -> None:
        wait_for(folder.exists, "the worker to begin")
        time.sleep(0.3)
        current = engine.jobs.get(job.name)
        engine.jobs.save(replace(current.moved(JobStatus.CANCEL_REQUESTED)))

    from datetime import timedelta

    from scoring.runner import Patience

    canceler = threading.Thread(target=cancel)
    canceler.start()
    ended = engine.runner(compute, patience=Patience(lease=timedelta(seconds=3))).run_one()
    canceler.join()
    assert ended is not None
    assert ended.status is JobStatus.CANCELED
    assert ended.status_reason == "canceled by request"


def test_the_next_job_finds_a_warm_process_that_knows_nothing_of_the_last(
    engine: Engine, compute: LocalCompute
) -> None:
    from dataclasses import replace

    engine.catalog.put(replace(engine.catalog.compute("cluster"), idle_time_before_scale_down=60))
    (engine.folder / "code" / "beside.py").write_text("calls = 0\n")
    script = """
        import os, beside
        out = os.environ["AZUREML_BI_OUTPUT_PATH"]
        state = []
        def init():
            state.append("init")
        def run(mini_batch):
            beside.calls += 1
            return [f"{os.getpid()} {out} {len(state)} {beside.calls} {os.getcwd()}" for path in mini_batch]
        def shutdown():
            print("shut down")
        """
    first = score(engine, compute, script, files=2)
    assert compute.pool.idle == 1
    second = score(engine, compute, script, files=2)
    (pid, out, inits, calls, cwd), (pid2, out2, inits2, calls2, cwd2) = (
        rows(engine, job)[0].split() for job in (first, second)
    )
    assert pid == pid2
    assert out.endswith("job-1/outputs/score")
    assert out2.endswith("job-2/outputs/score")
    assert (inits, calls) == (inits2, calls2) == ("1", "1")
    assert cwd.endswith("job-1/code")
    assert cwd2.endswith("job-2/code")
    assert log(engine, first, "user/stdout/node0/process000.stdout.txt") == "shut down\n"


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, what: str, seconds: float = 90.0) -> None:  # type: ignore[no-untyped-def]
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.05)
