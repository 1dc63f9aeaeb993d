"""Fixtures that start real parts, once a test session and only when a test asks for one."""

from __future__ import annotations

import os
import shutil
import signal
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

# started in the background of a script this process ignores Ctrl-C, and so would all that the tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# a port is free when it is picked and taken a little later: each process of a run picks from numbers of its own
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_OWN = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SPAN = (ports.LAST - ports.FIRST) // _PROCESSES
ports.FIRST += _OWN % _PROCESSES * _SPAN
ports.LAST = ports.FIRST + _SPAN

# the longest first, the quickest last: so both processes of a run end at about the same time
_ORDER = ("e2e", "fault", "integration", "contract", "property", "unit", "architecture")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes each takes whole files, as brokers and modules' stacks are one a process.

    What starts a whole stack is in one group, `alone`: no two of those ever run beside one another.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or not config.getvalue("loadgroup"):
        return
    here = Path(__file__).parent
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(here))))

    def place(item: pytest.Item) -> tuple[bool, int]:
        mark = item.get_closest_marker("xdist_group")
        folder = item.path.relative_to(here).parts[0]
        is_alone = mark is not None and mark.args == ("alone",)
        return not is_alone, _ORDER.index(folder) if folder in _ORDER else 0

    items.sort(key=place)


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
