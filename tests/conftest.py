"""Fixtures that start real parts, once a test session and only when a test asks for one."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from infra.devstack import ports
from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from infra.devstack.postgres import PostgresServer
from tests.processes import WholeFiles, place

# hundreds of processes are started here: each would compile all that it imports, which takes longer than most tests
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# started in the background of a script this process ignores Ctrl-C, and so would all that the tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# a port is free when it is picked and taken a little later: each process of a run picks from numbers of its own
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_OWN = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SPAN = (ports.LAST - ports.FIRST) // _PROCESSES
ports.FIRST += _OWN % _PROCESSES * _SPAN
ports.LAST = ports.FIRST + _SPAN


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> WholeFiles | None:
    return WholeFiles(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: place(item.nodeid))


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    """A short-named directory that other users may pass through, as Postgres does not run as root."""
    home = Path(tempfile.mkdtemp(prefix="tidemill-test-"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(stack_home: Path) -> Iterator[str]:
    """Address of a real broker that all tests of the session share: use topic names of your own."""
    port, controller_port = free_ports(2)
    broker = KafkaBroker(stack_home, port=port, controller_port=controller_port)
    try:
        broker.start(limit=180)
        yield broker.bootstrap
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def postgres_url(stack_home: Path) -> Iterator[str]:
    """SQLAlchemy URL of a real server that all tests of the session share: prefer `database_url`."""
    (port,) = free_ports(1)
    server = PostgresServer(stack_home, port=port)
    try:
        server.start(limit=180)
        yield server.url
    finally:
        server.stop()
        server.delete()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of a database that is empty and this test's own."""
    name = f"test_{uuid4().hex[:12]}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            # FORCE: a pool that the test left open must not keep the database
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        admin.dispose()
