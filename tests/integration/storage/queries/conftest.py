"""One small plant for all tests of the read side: nobody writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.queries.stores import Stores, TimeRange
from tests.plant import Plant, database, seed


@pytest.fixture(scope="session")
def plant(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with database(postgres_url) as url:
        yield seed(tmp_path_factory.mktemp("plant") / "lake", url, hours=6, sites=("harbour", "north"), pumps=3)


@pytest.fixture
def stores(plant: Plant) -> Stores:
    return Stores(lake=plant.lake, postgres_url=plant.database_url)


@pytest.fixture
def everything(plant: Plant) -> TimeRange:
    return TimeRange(since=plant.windows["window_start"].min(), until=plant.windows["window_end"].max())


@pytest.fixture
def nowhere(tmp_path: Path) -> Stores:
    """No lake, and a Postgres address where nobody listens."""
    return Stores(lake=tmp_path / "lake", postgres_url="postgresql+psycopg2://nobody:secret-word@127.0.0.1:9/none")
