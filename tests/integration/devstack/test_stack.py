"""`tidemill up` to `reset` with the real broker and the real server, as a person runs them; and what kill -9 leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from infra.cli.main import root
from infra.devstack.control import down as stop_stack
from infra.devstack.control import stack_status
from infra.devstack.kafka import brokers_listed
from infra.devstack.leftovers import find_leftovers
from infra.devstack.postgres import PostgresServer
from infra.home import Home

pytestmark = pytest.mark.stack
ONLY = ("--only", "postgres,kafka")


def tidemill(home: Path, *arguments: str, limit: float = 240) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("TIDEMILL_")}
    command = [sys.executable, "-m", "infra.cli.main", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=limit, env=env)


def status(home: Path) -> dict[str, Any]:
    """What `status -o json` prints, without the second that starting an interpreter costs."""
    return asdict(stack_status(Home(home.resolve())))


def pids(home: Path) -> dict[str, int]:
    found = status(home)
    return {"supervisor": found["supervisor_pid"], **{part["name"]: part["pid"] for part in found["parts"]}}


def ports(home: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((home / "stack.json").read_text())["ports"]
    return found


def wait_for(what: str, condition: Callable[[], bool], limit: float = 120) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit:.0f} s: {what}"
        time.sleep(0.2)


def query(home: Path, statement: str) -> Any:
    engine = create_engine(json.loads((home / "stack.json").read_text())["postgres_url"])
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that other users may pass through; its stack is stopped and deleted whatever the test did."""
    path = Path(tempfile.mkdtemp(prefix="tidemill-home-"))
    path.chmod(0o755)
    yield path
    stop_stack(Home(path))
    PostgresServer(path, port=0).delete()
    shutil.rmtree(path, ignore_errors=True)


def test_up_status_logs_down(home: Path) -> None:
    up = tidemill(home, "up", *ONLY)
    assert up.returncode == 0, up.stderr
    assert up.stdout.splitlines() == [
        f"postgres   127.0.0.1:{ports(home)['postgres']}",
        f"kafka      127.0.0.1:{ports(home)['kafka']}",
    ]
    printed = tidemill(home, "status", "-o", "json")
    assert printed.returncode == 0
    found = json.loads(printed.stdout)
    assert found["ready"]
    assert [part["state"] for part in found["parts"]] == ["ready", "ready"]
    assert all(part["memory_bytes"] > 1_000_000 for part in found["parts"])
    assert found["memory_bytes"] < 600 * 1024 * 1024
    before = pids(home)

    again = tidemill(home, "up", *ONLY)
    assert again.returncode == 0
    assert "already up" in again.stderr
    assert pids(home) == before

    logs = tidemill(home, "logs", "kafka", "-n", "500")
    assert "Kafka Server started" in logs.stdout
    assert tidemill(home, "logs", "kafak").returncode == 2

    query(home, "CREATE TABLE kept (n int)")
    known = ports(home)
    assert tidemill(home, "down").returncode == 0
    assert not any(psutil.pid_exists(pid) for pid in before.values())
    assert find_leftovers(Home(home)) == []
    down_again = tidemill(home, "down")
    assert down_again.returncode == 0
    assert "no stack runs" in down_again.stderr
    assert tidemill(home, "status").returncode == 1

    assert tidemill(home, "up", "--only", "postgres").returncode == 0
    assert query(home, "SELECT count(*) FROM kept") == 0
    assert ports(home) == known


def test_killed_broker_and_server_come_back_on_the_same_ports(home: Path) -> None:
    assert tidemill(home, "up", *ONLY).returncode == 0
    query(home, "CREATE TABLE kept AS SELECT 7 AS n")
    before, known = pids(home), ports(home)
    for part in ("postgres", "kafka"):
        os.kill(before[part], signal.SIGKILL)
    wait_for("degraded", lambda: status(home)["state"] == "degraded")
    # in this process: by the time that another has started, all may be well again
    found = CliRunner().invoke(root, ["status"], env={"TIDEMILL_HOME": str(home)})
    assert found.exit_code == 1
    assert "killed by SIGKILL" in found.stdout
    wait_for("both ready again", lambda: bool(status(home)["ready"]))
    after = pids(home)
    assert after["supervisor"] == before["supervisor"]
    assert after["kafka"] != before["kafka"]
    assert [part["restarts"] for part in status(home)["parts"]] == [1, 1]
    assert ports(home) == known
    assert query(home, "SELECT n FROM kept") == 7
    assert brokers_listed("127.0.0.1", known["kafka"], timeout=30) == 1


def test_a_killed_supervisor_leaves_nothing_and_up_recovers(home: Path) -> None:
    assert tidemill(home, "up", *ONLY).returncode == 0
    query(home, "CREATE TABLE kept AS SELECT 7 AS n")
    before, known = pids(home), ports(home)
    os.kill(before["supervisor"], signal.SIGKILL)
    said = tidemill(home, "status")
    assert said.returncode == 1
    assert "its supervisor was killed" in said.stdout
    again = tidemill(home, "up", *ONLY)
    assert again.returncode == 0, again.stderr
    assert not any(psutil.pid_exists(pid) for pid in before.values())
    assert ports(home) == known
    assert query(home, "SELECT n FROM kept") == 7


def test_down_ends_what_a_killed_supervisor_left_hanging(home: Path) -> None:
    assert tidemill(home, "up", *ONLY).returncode == 0
    before = pids(home)
    # stopped processes do not follow the signal that their parent's death sends
    for part in ("postgres", "kafka"):
        os.kill(before[part], signal.SIGSTOP)
    os.kill(before["supervisor"], signal.SIGKILL)
    down = tidemill(home, "down")
    assert down.returncode == 0
    assert "killed what was left" in down.stderr
    assert not any(psutil.pid_exists(pid) for pid in before.values())
    assert find_leftovers(Home(home)) == []


def test_two_homes_side_by_side_also_where_postgres_cannot_reach(home: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed" / "home"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    try:
        for one in (home, closed):
            assert tidemill(one, "up", "--only", "postgres").returncode == 0
        query(home, "CREATE TABLE mine (n int)")
        assert query(closed, "SELECT to_regclass('mine')") is None
        assert not set(ports(home).values()) & set(ports(closed).values())
        assert tidemill(home, "down").returncode == 0
        assert status(closed)["ready"]
        pointer = closed / "run" / "postgres-place"
        place = Path(pointer.read_text()) if pointer.exists() else closed / "postgres"
        assert (os.geteuid() == 0) == pointer.exists()
        assert place.is_dir()
    finally:
        reset = tidemill(closed, "reset", "--yes")
    assert reset.returncode == 0, reset.stderr
    assert not place.exists()
    assert not closed.exists()
    assert closed.parent.stat().st_mode & 0o777 == 0o700


def test_a_port_in_use_is_one_clear_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        base = server.getsockname()[1]
        up = tidemill(home, "up", *ONLY, "--port-base", str(base))
    assert up.returncode == 1
    assert up.stderr.splitlines()[-1].startswith(f"error: in use by another program: port {base} (api)")
    assert not (home / "stack.json").exists()
    assert find_leftovers(Home(home)) == []


def test_an_unknown_part_is_refused(home: Path) -> None:
    up = tidemill(home, "up", "--only", "kafak")
    assert up.returncode != 0
    assert "unknown part: kafak; the parts are postgres, kafka" in up.stderr


def test_foreground_ends_with_its_signal(home: Path) -> None:
    env = {**os.environ, "TIDEMILL_HOME": str(home)}
    command = [sys.executable, "-m", "infra.cli.main", "up", "--foreground", "--only", "postgres"]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    try:
        wait_for("postgres ready", lambda: bool(status(home)["ready"]))
        server = pids(home)["postgres"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    assert not psutil.pid_exists(server)


def test_reset_asks_and_keeps_what_is_not_the_stacks(home: Path) -> None:
    assert tidemill(home, "up", "--only", "postgres").returncode == 0
    (home / "my-notes.txt").write_text("mine")
    assert tidemill(home, "reset").returncode == 2
    assert (home / "stack.json").exists()
    assert tidemill(home, "reset", "--yes").returncode == 0
    assert [path.name for path in home.iterdir()] == ["my-notes.txt"]
    refused = tidemill(home, "reset", "--yes")
    assert refused.returncode == 1
    assert "no home of a stack" in refused.stderr


def test_doctor_finds_this_machine_fit(home: Path) -> None:
    doctor = tidemill(home, "doctor", "-o", "json")
    findings = {finding["check"]: finding for finding in json.loads(doctor.stdout)}
    assert doctor.returncode == 0, doctor.stdout
    assert findings["java"]["verdict"] == "ok"
    assert "18." in findings["postgres"]["found"]
