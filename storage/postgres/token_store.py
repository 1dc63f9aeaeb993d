"""Access tokens in Postgres: their names and hashes, never themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from scoring.errors import Conflict
from storage.postgres.engine import transaction
from storage.postgres.tables import access_tokens


@dataclass(frozen=True, kw_only=True)
class StoredToken:
    """`token_hash` is the sha256 of the token, in hex."""

    name: str
    token_hash: str
    created_at: datetime


class PostgresTokenStore:
    """Raises TryAgain while the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, token: StoredToken) -> None:
        """Raises Conflict where there is one of this name."""
        values = {"name": token.name, "token_hash": token.token_hash, "created_at": token.created_at}
        statement = insert(access_tokens).values(values).on_conflict_do_nothing()
        with transaction(self._engine) as connection:
            if connection.execute(statement.returning(access_tokens.c.name)).first() is None:
                raise Conflict(f"there is a token named {token.name} already; revoke it, or choose another name")

    def all(self) -> Sequence[StoredToken]:
        """By name."""
        with transaction(self._engine, read_only=True) as connection:
            found = connection.execute(sa.select(access_tokens).order_by(access_tokens.c.name)).mappings()
            return [StoredToken(**row) for row in found]

    def delete(self, name: str) -> None:
        """Deleting an absent one is no error."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(access_tokens).where(access_tokens.c.name == name))
