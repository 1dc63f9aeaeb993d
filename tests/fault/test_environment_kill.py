"""kill -9 while an environment is made: nothing half-made is ever found, and the next one makes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scoring.environments.store import EnvironmentStore
from scoring.environments.uv import uv_program
from tests.wheels import only_from, wheel

pytestmark = pytest.mark.fault

PREPARE = """\
import sys
from pathlib import Path
from scoring.environments.interpreters import Interpreter
from scoring.environments.preparing import Preparer, Watch
from scoring.environments.store import EnvironmentStore
from scoring.environments.uv import Uv
from scoring.environments.wanted import Wanted

folder, program = Path(sys.argv[1]), Path(sys.argv[2])
own = Interpreter(version=sys.version_info[:3], path=sys.executable)
preparer = Preparer(Uv(program), EnvironmentStore(folder / "environments"), python=own, versions=dict)
wanted = Wanted(requirements=("alpha", "beta"))
print(preparer.prepare(wanted, Watch(log=folder / "log.txt", tell=print, check=lambda: None)).python)
"""

# uv itself is the real one; it only waits before the step that is to be interrupted, until the test has struck
SLOW_UV = """\
#!/bin/sh
case "$*" in *" {step} "*) [ -e "{mark}" ] || {{ touch "{mark}"; sleep 60; }};; esac
exec "{uv}" "$@"
"""

LIMIT = 120


def strike(tmp_path: Path, step: str) -> tuple[Path, dict[str, str], list[str]]:
    """Start a preparation, kill it with all that it started not ended, while it is in `step`."""
    wheels = tmp_path / "wheels"
    wheel(wheels, "alpha", "1.0")
    wheel(wheels, "beta", "2.0")
    mark = tmp_path / "in-step"
    program = tmp_path / "uv"
    program.write_text(SLOW_UV.format(step=step, mark=mark, uv=uv_program()))
    program.chmod(0o755)
    environment = {**only_from(wheels, tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-u", "-c", PREPARE, str(tmp_path), str(program)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + LIMIT
        while not mark.exists():
            assert process.poll() is None
            assert time.monotonic() < ends, f"waited {LIMIT} s for uv to come to '{step}'"
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)
        for child in children:  # the stack's supervisor does this for a killed service
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
    finally:
        process.kill()
        process.wait(LIMIT)
    return tmp_path / "environments", environment, command


@pytest.mark.parametrize("step", ["pip compile", "venv", "pip install"])
def test_killed_in_a_step(tmp_path: Path, step: str) -> None:
    root, environment, command = strike(tmp_path, step)
    store = EnvironmentStore(root)
    assert store.all() == []
    assert list(root.glob("*/environment.json")) == []
    assert len(list((root / "tmp").iterdir())) == 1  # what the dead one left
    if step == "venv":
        store.sweep()
        assert list((root / "tmp").iterdir()) == []

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 0, ended.stderr
    python = ended.stdout.splitlines()[-1]
    code = "import alpha, beta; print(alpha.VERSION, beta.VERSION)"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True).stdout == "1.0 2.0\n"
    assert list((root / "tmp").iterdir()) == []
    assert len(store.all()) == 1


def test_whoever_waited_for_the_dead_one_goes_on(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "alpha", "1.0")
    root, environment, command = strike(tmp_path, "pip install")
    (tmp_path / "in-step").unlink()
    holder = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    waiter = None
    try:
        ends = time.monotonic() + LIMIT
        while not (tmp_path / "in-step").exists():
            assert time.monotonic() < ends, f"waited {LIMIT} s for the first to install"
            time.sleep(0.05)
        waiter = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert waiter.stdout is not None
        assert "another job is making this environment" in waiter.stdout.readline()
        children = psutil.Process(holder.pid).children(recursive=True)
        holder.send_signal(signal.SIGKILL)
        holder.wait(LIMIT)
        for child in children:
            child.kill()
        said = waiter.stdout.read()
        assert waiter.wait(LIMIT) == 0
        assert Path(said.splitlines()[-1]).exists()
        assert len(EnvironmentStore(root).all()) == 1
    finally:
        for process in (holder, waiter):
            if process is not None:
                process.kill()
                process.wait(LIMIT)
