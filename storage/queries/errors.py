"""Errors of reading, typed by what the catcher does.

QueryError
├── InvalidQuery   fix the statement: not a SELECT, an unknown table, a syntax error
├── StoreAway      wait and try again, or start the store: `store` says which (`lake` or `postgres`)
└── LimitReached   ask for less, or give more: the time or memory limit ended the query
"""

from __future__ import annotations

from scoring.errors import InvalidInput, TryAgain


class QueryError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidQuery(QueryError, InvalidInput):
    """The statement cannot be answered as it is; the message says where and what is allowed."""


class StoreAway(QueryError, TryAgain):
    """The lake or Postgres cannot be read now."""

    def __init__(self, store: str, message: str) -> None:
        super().__init__(message)
        self.store = store


class LimitReached(QueryError):
    """The query reached its time or memory limit and was ended."""
