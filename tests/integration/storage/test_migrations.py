"""Migrations and tables are one schema; migrating is safe whoever else does it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from scoring.errors import Conflict, InvalidInput
from storage.postgres import migrate
from storage.postgres.engine import create_engine
from storage.postgres.tables import metadata

pytestmark = pytest.mark.stack


def test_the_migrated_schema_is_that_of_the_tables(database_url: str) -> None:
    engine = create_engine(database_url)
    assert len(migrate.differences(engine)) >= len(metadata.tables)  # the comparison can fail
    assert migrate.upgrade(engine) == migrate.Migration(before=None, after=migrate.head())
    assert migrate.differences(engine) == []
    # alembic does not compare check constraints
    with engine.connect() as connection:
        checks = (
            connection.execute(sa.text("select conname from pg_constraint where contype = 'c' and conrelid <> 0"))
            .scalars()
            .all()
        )
    assert checks == ["ck_sensors_limits_in_order"]


def test_down_and_up_again(database_url: str) -> None:
    engine = create_engine(database_url)
    migrate.upgrade(engine)
    assert migrate.downgrade(engine) == migrate.Migration(before=migrate.head(), after=None)
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(engine)
    assert migrate.differences(engine) == []


def test_many_at_a_time_migrate_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate.upgrade(create_engine(database_url)), range(4)))
    assert sorted(one.before or "" for one in done) == ["", *[migrate.head()] * 3]
    assert migrate.differences(create_engine(database_url)) == []


def test_a_database_of_a_newer_tidemill_is_left_alone(database_url: str) -> None:
    engine = create_engine(database_url)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Conflict, match="9999"):
        migrate.upgrade(engine)


def test_a_plain_url_means_our_driver(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql+psycopg2://", "postgresql://"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("select current_setting('TimeZone')")).scalar_one() == "UTC"
    assert engine.driver == "psycopg2"


@pytest.mark.parametrize("url", ["sqlite://", "nonsense", "mysql://root:hidden@h/d"])
def test_another_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        create_engine(url)
    assert "hidden" not in str(raised.value)
