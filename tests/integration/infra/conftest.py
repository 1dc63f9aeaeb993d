"""A service of each file's own: a real process on a migrated database, whose tables are empty before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from storage.postgres.engine import create_engine
from storage.postgres.tables import metadata
from tests.plant import database
from tests.service_process import ServiceProcess, service_on


@pytest.fixture(scope="module")
def running(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceProcess, sa.Engine]]:
    """One process for all tests of a file, as it takes longer to start than most of them do; and its database."""
    with database(postgres_url) as url, service_on(url, tmp_path_factory.mktemp("service") / "home") as process:
        engine = create_engine(url)
        yield process, engine
        engine.dispose()


@pytest.fixture
def service(running: tuple[ServiceProcess, sa.Engine]) -> ServiceProcess:
    """The file's service, started again where a test has ended it, on empty tables and without a token."""
    process, engine = running
    empty(engine)
    (process.home / "token").unlink(missing_ok=True)
    if process.process is None or process.process.poll() is not None:
        process.start()
    return process


def empty(engine: sa.Engine) -> None:
    names = ", ".join(f'"{name}"' for name in metadata.tables)
    for tries_left in (4, 3, 2, 1, 0):
        try:
            with engine.begin() as connection:
                connection.execute(sa.text(f"TRUNCATE {names} CASCADE"))
            return
        except OperationalError:  # a deadlock with one of the service's loops
            if not tries_left:
                raise
