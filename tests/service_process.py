"""A real service process over a real database, and the command line that talks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from infra.client import TidemillClient
from infra.devstack.ports import free_ports
from scoring.errors import TryAgain
from storage.postgres.engine import create_engine
from storage.postgres.migrate import upgrade

START_SECONDS = 180
STOP_SECONDS = 120


class ServiceProcess:
    """`tidemill serve` below `home`; `start` and `kill` as often as wanted, always on the same port."""

    def __init__(self, home: Path, database_url: str) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.client = TidemillClient(self.url)
        self.environment = {
            **os.environ,
            "TIDEMILL_HOME": str(home),
            "TIDEMILL_POSTGRES_URL": database_url,
            "TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:9",  # nothing answers there: the service does without
            "TIDEMILL_API_URL": self.url,
            "TIDEMILL_DASHBOARD_URL": "http://127.0.0.1:9",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *args: str, limit: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
        """One `tidemill …` of a user, off a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "infra.cli.main", *args],
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
        )

    def begin(self, *args: str) -> subprocess.Popen[str]:
        """A `tidemill …` that goes on."""
        return subprocess.Popen(
            [sys.executable, "-m", "infra.cli.main", *args],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> ServiceProcess:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.cli.main", "serve", "--port", str(self.port)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        ends = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, f"the service ended with {self.process.returncode}: {self.log()}"
            try:
                self.client.health()
                return self
            except TryAgain:
                assert time.monotonic() < ends, f"waited {START_SECONDS} s for the service: {self.log()}"
                time.sleep(0.1)

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        """As the kernel does when memory is short: no goodbye."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()

    def log(self) -> str:
        return (self.home / "serve.log").read_text(errors="replace")


def deploy(
    service: ServiceProcess, folder: Path, script: str, *, name: str = "first", settings: Mapping[str, object] = {}
) -> None:
    """An endpoint `things` on a compute `cpu`, and a default deployment that runs the script."""
    code = folder / f"code-{name}"
    code.mkdir(parents=True)
    (code / "score.py").write_text(script)
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "weights.txt").write_text("1 2 3\n")
    client = service.client
    client.compute.create({"name": "cpu", "idle_time_before_scale_down": 60})
    client.batch_endpoints.create({"name": "things"})
    client.batch_deployments.create(
        "things",
        {
            "name": name,
            "endpoint_name": "things",
            "model": {"path": str(model)},
            "code_configuration": {"code": str(code), "scoring_script": "score.py"},
            "compute": "cpu",
            **settings,
        },
        set_default=True,
    )


def files(folder: Path, count: int) -> Path:
    """A folder with that many small files, `f000.txt` and so on."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"f{number:03}.txt").write_text("x" * number)
    return folder


@contextmanager
def service_on(database_url: str, home: Path) -> Iterator[ServiceProcess]:
    """A service that is not started yet, on a database that has been migrated; stopped at the end."""
    engine = create_engine(database_url)
    upgrade(engine)
    engine.dispose()
    process = ServiceProcess(home, database_url)
    try:
        yield process
    finally:
        process.client.close()
        process.stop()
