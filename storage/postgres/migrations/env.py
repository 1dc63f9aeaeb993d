"""Run by Alembic inside the one transaction that `storage.postgres.migrate` opened and locked."""

from __future__ import annotations

from alembic import context

from storage.postgres.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=True)
context.run_migrations()
