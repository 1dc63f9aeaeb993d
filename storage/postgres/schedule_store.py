"""Schedules in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from scoring.errors import NotFound
from scoring.schedule import Schedule
from storage.postgres import rows
from storage.postgres.engine import transaction
from storage.postgres.tables import schedules


class PostgresScheduleStore:
    """`scoring.ports.ScheduleStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, schedule: Schedule) -> None:
        """Create or replace; two who read the same schedule and both save it do not undo each other.

        With a later `last_fire` than stored it is the outcome of a fire: what a user changed meanwhile stays, and a
        schedule disabled meanwhile gets no next fire. Otherwise it is a change by a user: the outcomes of fires stay.
        `last_version` is the finisher's alone; it is taken only with another input path, as versions of two tables
        do not compare.
        """
        row = rows.schedule_row(schedule)
        statement = insert(schedules).values(row)
        merged = _merged(schedules.c, statement.excluded)
        with transaction(self._engine) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=[schedules.c.name], set_=merged))

    def get(self, name: str) -> Schedule:
        with transaction(self._engine, read_only=True) as connection:
            row = connection.execute(sa.select(schedules).where(schedules.c.name == name)).mappings().first()
            if row is None:
                names = ", ".join(connection.execute(sa.select(schedules.c.name).order_by("name").limit(12)).scalars())
                raise NotFound(
                    f"there is no schedule named {name}; there {f'are: {names}' if names else 'is none yet'}"
                )
            return rows.schedule_of(row)

    def due(self, now: datetime) -> Sequence[Schedule]:
        """The longest overdue first."""
        fires = (
            sa.select(schedules)
            .where(schedules.c.is_enabled, schedules.c.next_fire <= now)
            .order_by(schedules.c.next_fire, schedules.c.name)
        )
        with transaction(self._engine, read_only=True) as connection:
            return [rows.schedule_of(row) for row in connection.execute(fires).mappings()]

    def delete(self, name: str) -> None:
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(schedules).where(schedules.c.name == name))


def _merged(stored: Any, new: Any) -> dict[str, Any]:
    fired = sa.func.coalesce(new.last_fire > stored.last_fire, new.last_fire.is_not(None))
    older = sa.func.coalesce(new.last_fire < stored.last_fire, stored.last_fire.is_not(None) & new.last_fire.is_(None))
    path = ("input", "path")
    same_table = stored.document[path].as_string() == new.document[path].as_string()
    merged = {
        name: sa.case((fired, stored[name]), else_=new[name]) for name in ("document", "endpoint_name", "is_enabled")
    }
    merged |= {
        name: sa.case((older, stored[name]), else_=new[name])
        for name in ("last_fire", "last_job_name", "last_skip", "missed")
    }
    merged["next_fire"] = sa.case((fired & sa.not_(stored.is_enabled), None), else_=new.next_fire)
    merged["last_version"] = sa.case((fired | same_table, stored.last_version), else_=new.last_version)
    return merged
