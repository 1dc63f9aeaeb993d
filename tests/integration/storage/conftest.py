"""The stores' database, as the contract suites have it."""

from __future__ import annotations

from tests.contract.database import engine, migrated_database

__all__ = ["engine", "migrated_database"]
