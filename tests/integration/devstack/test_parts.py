"""The real broker and the real server, started as a stack starts them."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from infra.devstack.kafka import brokers_listed

pytestmark = pytest.mark.stack


def test_broker_lists_itself(kafka_bootstrap: str) -> None:
    host, port = kafka_bootstrap.split(":")
    assert brokers_listed(host, int(port), timeout=60) == 1


def test_postgres_is_version_18_and_lets_us_in_with_the_password(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SHOW server_version")).scalar_one().startswith("18.")
        assert connection.execute(text("SHOW fsync")).scalar_one() == "on"
        assert connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one() == 0
    engine.dispose()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_postgres_refuses_a_wrong_password(postgres_url: str, password: str) -> None:
    engine = create_engine(make_url(postgres_url).set(password=password))
    with pytest.raises(OperationalError, match="password"), engine.connect():
        pass
