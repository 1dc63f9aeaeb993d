"""The way into Postgres: one small pool a process, and one kind of transaction that says when the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import InvalidInput, TryAgain

CONNECT_TIMEOUT_S = 5
"""Seconds that a connection attempt may take."""

STATEMENT_TIMEOUT_S = 120
"""Seconds that one statement may take: the longest is the COPY of a job's predictions."""

_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}

Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]


def create_engine(url: str, *, pool_size: int = 4, application_name: str = "tidemill") -> Engine:
    """An engine for a `postgresql://` URL, whatever driver it names; nothing is connected yet.

    Raises InvalidInput for a URL of another database. The URL's password is never part of an error.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InvalidInput(
            "the database's URL cannot be read; it looks like postgresql://user:…@host:port/name"
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise InvalidInput(f"the database's URL begins with {parsed.drivername}://; only postgresql:// is allowed")
    # a bare `postgresql://` means another driver to SQLAlchemy 2.1
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg2"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=30,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": application_name,
            "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_S * 1000}",
            **_KEEPALIVES,
        },
    )


@cache
def shared_engine(url: str) -> Engine:
    """The engine of this process for this URL: one pool, however many stores use it."""
    return create_engine(url)


@contextmanager
def transaction(
    engine: Engine, *, isolation: Isolation = "READ COMMITTED", read_only: bool = False
) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back by any error.

    Raises TryAgain where the database cannot be reached, went away, or asked to be tried again (deadlock, timeout).
    """
    with _away():
        options: dict[str, Any] = {"isolation_level": isolation, "postgresql_readonly": read_only}
        with engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise TryAgain(f"the database did not answer: {_first_line(error.orig)}") from error
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise TryAgain(f"the connection to the database broke: {_first_line(error.orig)}") from error
    except sa.exc.TimeoutError as error:
        raise TryAgain("every connection to the database is in use; waited 30 s for one") from error


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
