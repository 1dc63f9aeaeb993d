"""Hostile scoring scripts, those of the table in docs/scoring-scripts.md: each ends in its documented state."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from scoring.compute.local import LocalCompute
from scoring.job import JobStatus
from tests.contract.engine import Engine

pytestmark = pytest.mark.fault

DOCUMENT = Path(__file__).parents[2] / "docs" / "scoring-scripts.md"
GOOD, BAD = JobStatus.COMPLETED, JobStatus.FAILED
FILES = 4
"""Files of every job, two a mini-batch; `first` is true in the first of them."""


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """`name` is the first cell of its row in the document.

    run      the body of run(), or with `whole` the whole script
    status   what the job ends as
    failed   how many of the four items fail
    told     what the reason of the job, or of its first failed mini-batch, must hold
    """

    name: str
    run: str
    status: JobStatus
    failed: int = 0
    told: str = ""
    whole: bool = False
    deployment: dict[str, object] = field(default_factory=dict)

    @property
    def script(self) -> str:
        if self.whole:
            return textwrap.dedent(self.run)
        body = textwrap.indent(textwrap.dedent(self.run).strip(), "    ")
        return f"{_HEAD}def run(mini_batch):\n    first = '0000' in mini_batch[0]\n{body}\n    return mini_batch\n"


_HEAD = "import ctypes, os, shutil, signal, subprocess, sys, threading, time\n"
ONCE = {"max_retries": 1}

SCRIPTS = [
    Hostile(
        name="raises in `init()`",
        run="def init():\n    raise FileNotFoundError('weights.pt')\ndef run(m):\n    return m\n",
        whole=True,
        status=BAD,
        failed=FILES,
        told="init() of score.py raised FileNotFoundError: weights.pt (score.py, line 2)",
    ),
    Hostile(
        name="raises in `run()`",
        run="if first:\n    raise ValueError('not a picture')",
        status=GOOD,
        failed=2,
        told="run() of score.py raised ValueError: not a picture (score.py, line 5), in 3 tries",
    ),
    Hostile(
        name="raises a BaseException",
        run="class Own(BaseException): pass\nif first:\n    raise Own('mine')",
        status=GOOD,
        failed=2,
        told="run() of score.py raised Own: mine",
    ),
    Hostile(
        name="cannot be imported",
        run="import nothing_of_that_name\ndef run(m):\n    return m\n",
        whole=True,
        status=BAD,
        failed=FILES,
        told="loading score.py raised ModuleNotFoundError: No module named 'nothing_of_that_name' (score.py, line 1)",
    ),
    Hostile(
        name="has a syntax error",
        run="def run(mini_batch:\n",
        whole=True,
        status=BAD,
        failed=FILES,
        told="loading score.py raised SyntaxError: '(' was never closed (score.py, line 1)",
    ),
    Hostile(
        name="has no `run()`",
        run="def init():\n    pass\n",
        whole=True,
        status=BAD,
        failed=FILES,
        told="score.py has no function run(mini_batch)",
    ),
    Hostile(
        name="dies in `init()`",
        run="import os\ndef init():\n    os._exit(9)\ndef run(m):\n    return m\n",
        whole=True,
        status=BAD,
        failed=FILES,
        told="the worker process ended with exit code 9 in init() of score.py",
    ),
    Hostile(
        name="hangs in `init()`",
        run="import time\ndef init():\n    time.sleep(99)\ndef run(m):\n    return m\n",
        whole=True,
        status=BAD,
        failed=FILES,
        told="init() of score.py took longer than 1 s",
    ),
    *(
        Hostile(
            name=f"returns {shown}",
            run=f"return {returned}",
            status=BAD,
            failed=FILES,
            told=f"run() of score.py returned {kind}; allowed are list, tuple and pandas.DataFrame",
            deployment=ONCE,
        )
        for shown, returned, kind in (
            ("None", "None", "None"),
            ("a string", "'abc'", "str"),
            ("a dict", "{'a': 1}", "dict"),
            ("a generator", "(path for path in mini_batch)", "generator"),
            ("a Series or an array", "__import__('pandas').Series(mini_batch)", "Series"),
        )
    ),
    Hostile(
        name="returns too few rows",
        run="return mini_batch[:1]",
        status=GOOD,
        failed=2,
        told="run() of score.py returned 1 rows for 2 items",
    ),
    Hostile(name="returns too many rows", run="return mini_batch * 2", status=GOOD),
    Hostile(name="returns no row at all", run="return []", status=BAD, failed=FILES, told="no item succeeded"),
    Hostile(name="returns what cannot be pickled", run="return [threading.Lock(), lambda: 0]", status=GOOD),
    Hostile(
        name="returns NaN, None or any Unicode",
        run="return [float('nan'), 'zwölf 🚰 \\ud800' if first else None]",
        status=GOOD,
    ),
    Hostile(
        name="calls `sys.exit()`",
        run="if first:\n    sys.exit(3)",
        status=GOOD,
        failed=2,
        told="run() of score.py asked the process to exit: 3 (score.py, line 5)",
    ),
    Hostile(
        name="calls `os._exit()`",
        run="if first:\n    os._exit(5)",
        status=GOOD,
        failed=2,
        told="the worker process ended with exit code 5 in run() of score.py",
    ),
    Hostile(
        name="crashes (segmentation fault)",
        run="if first:\n    ctypes.string_at(0)",
        status=GOOD,
        failed=2,
        told="the worker process was killed by signal 11, SIGSEGV in run() of score.py",
    ),
    Hostile(
        name="loops for ever",
        run="while first: pass",
        status=GOOD,
        failed=2,
        told="run() of score.py took longer than 2 s (retry_settings.timeout)",
        deployment={"timeout": 2, "max_retries": 1},
    ),
    Hostile(
        name="recurses for ever",
        run="def again(): again()\nif first:\n    again()",
        status=GOOD,
        failed=2,
        told="run() of score.py raised RecursionError",
    ),
    Hostile(
        name="takes all memory",
        run="if first:\n    hog = [bytearray(1 << 20) for _ in range(4096)]",
        status=GOOD,
        failed=2,
        told="run() of score.py raised MemoryError (score.py, line 5); worker_memory_mb of the compute is 512",
        deployment=ONCE,
    ),
    Hostile(name="prints a gigabyte", run="for _ in range(50):\n    print('x' * (1 << 20))", status=GOOD),
    Hostile(name="closes stdout", run="sys.stdout.close()", status=GOOD),
    Hostile(name="closes all three standard descriptors", run="os.closerange(0, 3)", status=GOOD),
    Hostile(name="reads stdin", run="sys.stdin.read()", status=GOOD),
    Hostile(name="forks", run="os.fork()", status=GOOD),
    Hostile(name="leaves a child process behind", run="subprocess.Popen(['sleep', '1000'])", status=GOOD),
    Hostile(
        name="leaves threads running", run="threading.Thread(target=time.sleep, args=(1000,)).start()", status=GOOD
    ),
    Hostile(name="changes the working directory", run="os.chdir('/')", status=GOOD),
    Hostile(
        name="deletes its own code folder", run="if first:\n    shutil.rmtree(os.path.dirname(__file__))", status=GOOD
    ),
    Hostile(
        name="clears its environment, path and modules",
        run="os.environ.clear(); sys.path.clear(); sys.modules.pop('json', 0)",
        status=GOOD,
    ),
    Hostile(name="ignores signals", run="signal.signal(signal.SIGTERM, signal.SIG_IGN)", status=GOOD),
    Hostile(
        name="has its input deleted under it",
        run="if first:\n    os.remove(mini_batch[0])\nreturn [open(path).read() for path in mini_batch]",
        status=GOOD,
        failed=2,
        told="run() of score.py raised FileNotFoundError",
        deployment=ONCE,
    ),
    Hostile(
        name="returns a row that has no text",
        run="class Bad:\n    def __str__(self): raise KeyError('no text')\nif first:\n    return [Bad(), Bad()]",
        status=GOOD,
        failed=2,
        told="writing what run() of score.py returned raised KeyError: 'no text'",
    ),
    Hostile(
        name="kills its parent process",
        run="if first:\n    os.kill(os.getppid(), signal.SIGKILL)\n    time.sleep(9)",
        status=GOOD,
        failed=2,
        told="the worker process was killed by signal 9, SIGKILL (out of memory?) in run() of score.py",
    ),
]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = Engine(tmp_path)
    made.catalog.put(replace(made.catalog.compute("cluster"), worker_memory_mb=512))
    return made


@pytest.fixture
def compute(engine: Engine, tmp_path: Path) -> Iterator[LocalCompute]:
    local = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs")
    yield local
    local.close()


@pytest.mark.parametrize("hostile", SCRIPTS, ids=lambda hostile: hostile.name)
def test_it_ends_as_documented(
    engine: Engine, compute: LocalCompute, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "scoring.compute.job_run.init_limit", lambda timeout: timedelta(seconds=1 if "hangs" in hostile.name else 60)
    )
    monkeypatch.setattr("scoring.compute.workplace._LOG_LIMIT", 4 << 20)
    monkeypatch.setattr("scoring.compute.workplace._LOG_KEPT", 1 << 20)
    engine.deploy(hostile.script, **hostile.deployment)
    engine.files(FILES)
    engine.invoke()
    job = engine.runner(compute).run_one()
    assert job is not None
    assert job.status is hostile.status, job.status_reason
    if job.progress.items_succeeded:
        assert job.progress.items_failed == hostile.failed, job.status_reason
    _, results = engine.jobs.manifest(job)
    errors = [str(result.error) for result in results if result.error]
    assert hostile.told in (str(job.status_reason) if hostile.status is BAD else (errors or [""])[0])
    assert bool(errors) == (bool(hostile.told) and hostile.status is GOOD) or hostile.status is BAD
    for line in (str(job.status_reason), *errors):
        assert "\n" not in line
        assert "scoring/" not in line, "a user is told of the script, not of us"
    logs = engine.folder / "jobs" / job.name / "logs"
    assert sum(file.stat().st_size for file in logs.rglob("*") if file.is_file()) < 6 << 20
    assert engine.runner(compute).run_one() is None


def test_after_all_of_them_a_good_script_is_scored(engine: Engine, compute: LocalCompute) -> None:
    """In one compute, kept warm: what one script did to its process reaches no other."""
    engine.catalog.put(replace(engine.catalog.compute("cluster"), idle_time_before_scale_down=60))
    for name in ("kills its parent process", "changes the working directory", "leaves threads running"):
        engine.deploy(next(h for h in SCRIPTS if h.name == name).script, max_retries=1)
        engine.files(FILES)
        engine.invoke()
        engine.runner(compute).run_one()
    engine.deploy(
        "import os, threading\ndef run(m):\n    return [f'{os.getcwd()} {threading.active_count()}' for _ in m]\n"
    )
    engine.invoke()
    job = engine.runner(compute).run_one()
    assert job is not None
    assert job.status is GOOD, job.status_reason
    assert set(engine.sink.rows[job.name]) == {f"{engine.folder / 'jobs' / job.name / 'code'} 1"}


def test_the_document_names_each_script_and_its_end() -> None:
    documented = dict(
        re.findall(r"^\| ([^|]+?) \| (Completed|Failed) \|", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert documented == {hostile.name: hostile.status.value for hostile in SCRIPTS}
