"""The parts of a real stack, in start order, and where each answers."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from infra.devstack.kafka import KafkaBroker
from infra.devstack.parts import Part
from infra.devstack.postgres import PostgresServer
from infra.devstack.processes import Launch
from infra.home import Home

# in the order in which --port-base hands them out
PORTS = ("api", "dashboard", "kafka", "postgres", "stream", "kafka-controller")
# a stack talks to its own parts, whatever the shell that started it points to
ELSEWHERE = ("TIDEMILL_KAFKA_BOOTSTRAP", "TIDEMILL_POSTGRES_URL", "TIDEMILL_API_URL", "TIDEMILL_DASHBOARD_URL")


def addresses(home: Home, ports: Mapping[str, int], *, bind: str = "127.0.0.1") -> dict[str, str]:
    """The fields of StackAddress. Makes the database's password if there is none yet."""
    host = "127.0.0.1" if bind in ("", "0.0.0.0") else bind  # noqa: S104
    return {
        "kafka_bootstrap": f"127.0.0.1:{ports['kafka']}",
        "postgres_url": PostgresServer(home.root, port=ports["postgres"]).url,
        "api_url": f"http://{host}:{ports['api']}",
        "dashboard_url": f"http://{host}:{ports['dashboard']}",
    }


def stack_parts(home: Home, ports: Mapping[str, int], *, bind: str = "127.0.0.1") -> list[Part]:
    """Every part of the stack. Only Kafka and Postgres need no other."""
    where = addresses(home, ports, bind=bind)
    host = where["api_url"].removeprefix("http://").rsplit(":", 1)[0]
    postgres = PostgresServer(home.root, port=ports["postgres"])
    kafka = KafkaBroker(home.root, port=ports["kafka"], controller_port=ports["kafka-controller"])

    def launch(name: str, *command: str) -> Launch:
        return own_command(home, name, command)

    return [
        Part(
            name="postgres",
            address=f"127.0.0.1:{ports['postgres']}",
            prepare=postgres.prepare,
            launch=postgres.launch,
            ready=lambda _: postgres.is_ready(),
            limit=60,
        ),
        Part(
            name="kafka",
            address=where["kafka_bootstrap"],
            prepare=kafka.prepare,
            launch=kafka.launch,
            ready=lambda _: kafka.is_ready(),
            limit=90,
        ),
        Part(name="migrate", once=True, after=("postgres",), launch=lambda: launch("migrate", "migrate")),
        Part(name="topics", once=True, after=("kafka",), launch=lambda: launch("topics", "topics", "create")),
        Part(
            name="serve",
            # not kafka: the service answers, and says so, while the broker is away
            after=("migrate", "topics", "postgres"),
            address=where["api_url"],
            launch=lambda: launch("serve", "serve", "--port", str(ports["api"])),
            ready=lambda _: answers(host, ports["api"], "/healthz"),
            grace=25,
        ),
        Part(
            name="stream",
            after=("migrate", "topics", "kafka"),
            address=f"127.0.0.1:{ports['stream']}",
            prepare=lambda _: stream_file(home).unlink(missing_ok=True),
            launch=lambda: launch("stream", "stream", "run", "--port", str(ports["stream"])),
            ready=lambda pid: stream_is_ready(stream_file(home), pid),
            limit=90,
            grace=20,
        ),
        Part(
            name="dashboard",
            after=("migrate", "topics"),
            address=where["dashboard_url"],
            launch=lambda: launch("dashboard", "dashboard", "run", "--port", str(ports["dashboard"])),
            ready=lambda _: answers(host, ports["dashboard"], "/_stcore/health"),
            grace=5,
        ),
    ]


def own_command(home: Home, name: str, command: Sequence[str]) -> Launch:
    """A `tidemill` command as a part, with this home and this interpreter."""
    env = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
    env |= {"TIDEMILL_HOME": str(home.root), "PYTHONUNBUFFERED": "1"}
    # glibc keeps an arena a thread otherwise: hundreds of MB over the stack's many threads
    env.setdefault("MALLOC_ARENA_MAX", "2")
    return Launch(
        argv=(sys.executable, "-m", "infra.cli.main", *command),
        cwd=home.root,
        log=home.logs / f"{name}.log",
        env=env,
    )


def stream_file(home: Home, name: str | None = None) -> Path:
    """Where the worker of a stream says that it has its partitions; of the built-in one without a name."""
    return home.run / ("stream.json" if name is None else f"stream-{name}.json")


def stream_is_ready(path: Path, pid: int) -> bool:
    """Did the worker that runs now (`pid` or a child of it) say so? A file of an earlier one does not count."""
    try:
        said = json.loads(path.read_text())
        if not said.get("ready"):
            return False
        return said.get("pid") == pid or pid in {parent.pid for parent in psutil.Process(said["pid"]).parents()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, psutil.Error):
        return False


def answers(host: str, port: int, path: str, timeout: float = 2.0) -> bool:
    """Does a GET end in 200?"""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
