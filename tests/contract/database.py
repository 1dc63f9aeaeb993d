"""A database with the schema, migrated once a session and emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa

from storage.postgres.engine import create_engine
from storage.postgres.migrate import upgrade
from storage.postgres.tables import metadata


@pytest.fixture(scope="session")
def migrated_database(postgres_url: str) -> Iterator[str]:
    """URL of a database of this session with the schema of today."""
    name = f"stores_{uuid4().hex[:12]}"
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    url = sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(url)
    upgrade(engine)
    engine.dispose()
    yield url
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(migrated_database: str) -> Iterator[sa.Engine]:
    """An engine on empty tables."""
    made = create_engine(migrated_database, pool_size=8)
    with made.begin() as connection:
        names = ", ".join(f'"{name}"' for name in metadata.tables)
        connection.execute(sa.text(f"TRUNCATE {names} CASCADE"))
    yield made
    made.dispose()
