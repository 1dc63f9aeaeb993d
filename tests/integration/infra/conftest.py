"""A service of each test's own: a real process on an empty, migrated database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from storage.postgres.migrate import upgrade
from tests.service_process import ServiceProcess


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    engine = create_engine(database_url)
    upgrade(engine)
    engine.dispose()
    process = ServiceProcess(tmp_path / "home", database_url).start()
    yield process
    process.client.close()
    process.stop()
