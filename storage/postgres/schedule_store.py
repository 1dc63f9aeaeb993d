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
        """Create or replace, but for `last_version`: a job may have ended since the schedule was read.

        Only with another input path the version given is taken, as versions of two tables do not compare.
        """
        row = rows.schedule_row(schedule)
        statement = insert(schedules).values(row)
        new: Any = statement.excluded
        path = ("input", "path")
        same_table = schedules.c.document[path].as_string() == new.document[path].as_string()
        replaced = {column: new[column] for column in row if column not in {"name", "created_at"}}
        replaced["last_version"] = sa.case((same_table, schedules.c.last_version), else_=new.last_version)
        with transaction(self._engine) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=[schedules.c.name], set_=replaced))

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
