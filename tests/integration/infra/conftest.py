"""A service of each test's own: a real process on an empty, migrated database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service_process import ServiceProcess, service_on


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service_on(database_url, tmp_path / "home") as process:
        process.start()
        yield process
