"""Bringing the database's schema to a revision: all steps in one transaction, one migration at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from scoring.errors import Conflict
from storage.postgres.engine import transaction
from storage.postgres.tables import metadata

_SCRIPTS = Path(__file__).parent / "migrations"

_LOCK = 0x71DE_0111
"""Any number of our own: whoever migrates this database holds the advisory lock with it."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """What a migration did: revisions before and after; None is an empty database."""

    before: str | None
    after: str | None


def upgrade(engine: Engine, revision: str = "head") -> Migration:
    """Apply what is missing, or nothing. A second migration at the same time waits for the first, then finds all done.

    Raises Conflict for a database of a newer tidemill, TryAgain while the database is away.
    """
    return _migrate(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str = "base") -> Migration:
    """Undo revisions down to `revision`, with the data of the tables that go."""
    return _migrate(engine, lambda config: command.downgrade(config, revision))


def differences(engine: Engine) -> list[object]:
    """What `tables` has and the database has not, or the other way round; empty where both are equal."""
    with transaction(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))


def head() -> str:
    """The newest revision of this tidemill."""
    found = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    assert found is not None
    return found


def _migrate(engine: Engine, step: Callable[[Config], None]) -> Migration:
    with transaction(engine) as connection:
        # waits no longer than the statement timeout; freed with the transaction, however it ends
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        before = _revision(connection)
        known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
        if before is not None and before not in known:
            raise Conflict(
                f"the database is at revision {before}, which this tidemill does not know; "
                "it was migrated by a newer one"
            )
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        step(config)
        return Migration(before=before, after=_revision(connection))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
