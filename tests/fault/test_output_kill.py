"""kill -9 while an output file is written: it is there once and whole, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

# one process, which forks for each death: the imports take longer than all of them
CHILD = """
import os, signal, sys
from pathlib import Path
from scoring.deployment import OutputFormat
from scoring.drivers import rows
from scoring.job import JobOutput
from storage.sinks.output_file import OutputFile
from storage.sinks.places import Places
from tests.contract.values import a_deployment, a_job, a_manifest, a_result

def write(folder, kind, fatal):
    # commit the job's output; at the fatal one of these system calls this process dies
    results = []
    for index in range(3):
        stem = str(folder / "jobs" / "job-1" / "results" / str(index))
        os.makedirs(os.path.dirname(stem), exist_ok=True)
        output = None if kind == "append_row" else {"format": kind}
        path = rows.write([{"n": index}] * 2, stem, text=output is None, predictions=False, output=output)
        results.append(a_result(index, rows_path=path, rows=2))
    calls = 0
    def counted(real):
        def call(*args, **more):
            nonlocal calls
            calls += 1
            if calls == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)
        return call
    for name in ("fsync", "link", "replace", "rename", "unlink", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))
    deployment = a_deployment(output_format=OutputFormat(kind), output_file_name="rows")
    job = a_job(deployment=deployment, output=JobOutput(path=str(folder / "out")))
    sink = OutputFile(Places(lake=folder / "lake", jobs=folder / "jobs"))
    sink.check(job)
    assert sink.commit(job, a_manifest(), results) == 6
    return calls

def forked(folder, kind, fatal):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(100 + write(folder, kind, fatal))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

for kind in ("append_row", "parquet"):
    root = Path(sys.argv[1]) / kind
    calls = forked(root / "good", kind, -1) - 100
    expected = (root / "good" / "out" / "rows").read_bytes()
    assert calls >= 6 and expected, calls
    for fatal in range(1, calls + 1):
        folder = root / str(fatal)
        assert forked(folder, kind, fatal) == -signal.SIGKILL
        out = folder / "out" / "rows"
        assert not out.exists() or out.read_bytes() == expected, f"{kind}: torn at {fatal}"
        assert forked(folder, kind, -1) >= 100, f"{kind}: not made good after {fatal}"
        assert out.read_bytes() == expected, f"{kind}: other rows after {fatal}"
        assert os.listdir(folder / "out") == ["rows"], f"{kind}: left over after {fatal}"
    print(kind, calls)
"""


def test_the_file_is_whole_or_not_there_and_once_in_the_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["append_row", "parquet"]
