"""The whole stack, as `tidemill up` starts it, while its parts are killed: told in `status`, mended by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from infra.cli.main import root
from infra.client import TidemillClient
from infra.devstack.control import down, stack_status
from infra.devstack.leftovers import find_leftovers
from infra.devstack.postgres import PostgresServer
from infra.home import Home
from tests.waiting import until

pytestmark = [pytest.mark.fault, pytest.mark.stack, pytest.mark.timeout(900)]

MIB = 1024 * 1024

# run() leaves a process of a session of its own behind, as a careless script may, and says which
SCRIPT = """\
import os, subprocess, sys, time

def run(mini_batch):
    folder = os.environ["NOTES"]
    if not os.path.exists(os.path.join(folder, "go-on")):
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True, close_fds=False
        )
        with open(os.path.join(folder, f"{child.pid}.child"), "w") as note:
            note.write(str(os.getpid()))
        time.sleep(600)
    return [os.path.basename(path) for path in mini_batch]
"""


class WholeStack:
    """A stack that is up, and how a person looks at it."""

    def __init__(self, home: Path) -> None:
        self.home = Home(home.resolve())

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("TIDEMILL_")}
        command = [sys.executable, "-m", "infra.cli.main", "--home", str(self.home.root), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)

    def status(self) -> dict[str, Any]:
        return asdict(stack_status(self.home))

    def part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(part for part in self.status()["parts"] if part["name"] == name)
        return found

    def kill(self, *names: str) -> None:
        for pid in [self.part(name)["pid"] for name in names]:
            os.kill(pid, signal.SIGKILL)

    def client(self) -> TidemillClient:
        return TidemillClient(json.loads(self.home.stack_file.read_text())["api_url"])


@pytest.fixture(scope="module")
def stack() -> Iterator[WholeStack]:
    home = Path(tempfile.mkdtemp(prefix="tidemill-home-"))
    home.chmod(0o755)
    found = WholeStack(home)
    try:
        up = found.command("up", "--wait", "220")
        assert up.returncode == 0, up.stderr
        yield found
    finally:
        down(found.home)
        left = find_leftovers(found.home)
        PostgresServer(home, port=0).delete()
        shutil.rmtree(home, ignore_errors=True)
    assert left == []


def test_memory_is_shown_and_small(stack: WholeStack) -> None:
    found = stack.status()
    assert all(part["memory_bytes"] > MIB for part in found["parts"] if part["pid"] is not None)
    assert 0 < found["supervisor_memory_bytes"] < 50 * MIB
    assert found["memory_bytes"] < 3 * 1024 * MIB


def test_broker_and_database_away_are_told_and_come_back_by_themselves(stack: WholeStack) -> None:
    parts = {part["name"]: part for part in stack.status()["parts"]}
    before = {name: (part["pid"], part["restarts"]) for name, part in parts.items()}
    # stopped, it is away for as long as it takes to look
    os.kill(parts["kafka"]["pid"], signal.SIGSTOP)
    with stack.client() as client:
        stream = until("the broker's absence in /stream", client.stream, lambda answer: answer["state"] != "ok")
    assert "did not answer within" in stream["state"]
    assert stream["lag"] is None

    stack.kill("kafka", "postgres")
    until("status tells", lambda: stack.part("kafka")["last_error"], lambda error: "killed by SIGKILL" in (error or ""))
    # in this process: by the time that another has started, all may be well again
    told = CliRunner().invoke(root, ["status"], env={"TIDEMILL_HOME": str(stack.home.root)})
    assert told.exit_code == 1
    assert told.stdout.startswith("degraded")
    assert "ended: killed by SIGKILL" in told.stdout
    until("all are ready", lambda: stack.status()["ready"], limit=180)
    after = {part["name"]: part for part in stack.status()["parts"]}
    for name in ("kafka", "postgres"):
        assert after[name]["restarts"] == parts[name]["restarts"] + 1
    # those that need them rode it out
    for name in ("serve", "stream", "dashboard"):
        assert (after[name]["pid"], after[name]["restarts"]) == before[name], name
    with stack.client() as client:
        assert client.health()["status"] == "ok"
        assert until("the stream is well", client.stream, lambda answer: answer["lag"] == 0)["state"] == "ok"
    log = stack.home.logs / "serve.log"
    told = ("the scheduler waits", "the scheduler goes on")
    counts = until(
        "the scheduler goes on", lambda: [log.read_text().count(one) for one in told], lambda n: n[0] == n[1]
    )
    assert counts[0] >= 1


def test_a_killed_service_leaves_no_process_of_a_users_script(stack: WholeStack, tmp_path: Path) -> None:
    notes, code, data = tmp_path / "notes", tmp_path / "code", tmp_path / "data"
    for folder in (notes, code, data, tmp_path / "model"):
        folder.mkdir()
    (code / "score.py").write_text(SCRIPT)
    (tmp_path / "model" / "weights.txt").write_text("1\n")
    for number in range(2):
        (data / f"{number}.txt").write_text("x")
    with stack.client() as client:
        client.compute.create({"name": "cpu"})
        client.batch_endpoints.create({"name": "careless"})
        client.batch_deployments.create(
            "careless",
            {
                "name": "first",
                "endpoint_name": "careless",
                "model": {"path": str(tmp_path / "model")},
                "code_configuration": {"code": str(code), "scoring_script": "score.py"},
                "compute": "cpu",
                "mini_batch_size": 1,
                "environment_variables": {"NOTES": str(notes)},
            },
            set_default=True,
        )
        job = client.batch_endpoints.invoke("careless", {"input": {"path": str(data)}})["name"]
        note = until("the script's child", lambda: [n for n in notes.glob("*.child") if n.read_text()])[0]
        child, worker = int(note.stem), int(note.read_text())
        assert psutil.pid_exists(child)

        restarts = stack.part("serve")["restarts"]
        stack.kill("serve")
        (notes / "go-on").touch()
        until("the script's child has ended", lambda: not (psutil.pid_exists(child) or psutil.pid_exists(worker)))
        until("serve is back", lambda: stack.part("serve")["restarts"] == restarts + 1 and stack.status()["ready"])
        ended = list(client.jobs.stream(job, limit_seconds=180))[-1]
    assert ended["status"] == "Completed", ended
    written = (Path(ended["outputs"]["score"]["path"]) / "predictions.csv").read_text().split()
    assert sorted(written) == ["0.txt", "1.txt"]


def test_down_leaves_nothing(stack: WholeStack) -> None:
    pids = [part["pid"] for part in stack.status()["parts"] if part["pid"] is not None]
    started = [process.pid for process in find_leftovers(stack.home)]
    assert set(pids) <= set(started)
    ended = stack.command("down")
    assert ended.returncode == 0, ended.stderr
    assert not [pid for pid in (*pids, *started) if psutil.pid_exists(pid)]
    assert find_leftovers(stack.home) == []
