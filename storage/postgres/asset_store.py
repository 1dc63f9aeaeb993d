"""Models, data assets, environments, components and datastores in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine, RowMapping

from scoring.components.registered import RegisteredComponent
from scoring.data_asset import DataAsset
from scoring.datastore import Datastore
from scoring.environment import Environment
from scoring.errors import Conflict, NotFound
from scoring.model import Model
from scoring.ports import A, Asset
from storage.postgres.documents import from_document, to_document
from storage.postgres.engine import transaction
from storage.postgres.tables import components, data_assets, datastores, environments, models

T = TypeVar("T")

_TABLES: dict[type[Any], tuple[sa.Table, str]] = {
    Model: (models, "model"),
    DataAsset: (data_assets, "data asset"),
    Environment: (environments, "environment"),
    RegisteredComponent: (components, "component"),
    Datastore: (datastores, "datastore"),
}

_NAMES_SHOWN = 12


class PostgresAssetStore:
    """`scoring.ports.AssetStore`. Replacing keeps the time of creation."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, item: Asset | Datastore) -> None:
        table, what = _TABLES[type(item)]
        document = to_document(item)
        row: dict[str, Any] = {**_key(item), "document": document}
        if document.pop("created_at") is not None:
            row["created_at"] = item.created_at
        if not isinstance(item, Datastore):
            row["content_hash"] = item.content_hash
        statement = insert(table).values(row)
        replaced = statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={"document": statement.excluded.document},
            where=None if isinstance(item, Datastore) else table.c.content_hash == item.content_hash,
        )
        with transaction(self._engine) as connection:
            if connection.execute(replaced).rowcount == 0:
                assert not isinstance(item, Datastore)
                raise Conflict(
                    f"{what} {item.name} version {item.version} exists already with other content; "
                    "a version never changes, register the new content under another one"
                )

    def get(self, kind: type[A], name: str, version: str | None = None) -> A:
        table, what = _TABLES[kind]
        of_name = sa.select(table).where(table.c.name == name)
        wanted = of_name.where(table.c.version == version) if version is not None else _newest(of_name, table)
        with transaction(self._engine, read_only=True) as connection:
            row = connection.execute(wanted).mappings().first()
            if row is None:
                raise _not_found(connection, table, what, name, version)
            return _read(kind, row)

    def versions(self, kind: type[A], name: str | None = None) -> Sequence[A]:
        table, _ = _TABLES[kind]
        wanted = sa.select(table) if name is None else sa.select(table).where(table.c.name == name)
        with transaction(self._engine, read_only=True) as connection:
            rows = connection.execute(wanted.order_by(table.c.name, *newest_version_first(table))).mappings()
            return [_read(kind, row) for row in rows]

    def datastore(self, name: str) -> Datastore:
        with transaction(self._engine, read_only=True) as connection:
            row = connection.execute(sa.select(datastores).where(datastores.c.name == name)).mappings().first()
            if row is None:
                raise _not_found(connection, datastores, "datastore", name, None)
            return _read(Datastore, row)

    def datastores(self) -> Sequence[Datastore]:
        with transaction(self._engine, read_only=True) as connection:
            rows = connection.execute(sa.select(datastores).order_by(datastores.c.name)).mappings()
            return [_read(Datastore, row) for row in rows]

    def delete(self, item: Asset | Datastore) -> None:
        table, _ = _TABLES[type(item)]
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(table).where(*(table.c[column] == key for column, key in _key(item).items())))


def newest_version_first(table: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
    """The order of versions: by creation, then, within one moment, 10 after 9."""
    return table.c.created_at.desc(), sa.func.length(table.c.version).desc(), table.c.version.desc()


def is_archived(table: sa.Table) -> sa.ColumnElement[bool]:
    """False also for rows that were written before there was an archive."""
    return sa.func.coalesce(table.c.document["is_archived"].as_boolean(), sa.false())


def _newest(of_name: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    return of_name.where(sa.not_(is_archived(table))).order_by(*newest_version_first(table)).limit(1)


def _key(item: Asset | Datastore) -> dict[str, str]:
    if isinstance(item, Datastore):
        return {"name": item.name}
    return {"name": item.name, "version": item.version}


def _read(kind: type[T], row: RowMapping) -> T:
    return from_document(kind, {**row["document"], "created_at": to_document(row["created_at"])})


def _not_found(connection: Connection, table: sa.Table, what: str, name: str, version: str | None) -> NotFound:
    if "version" in table.c:
        of_name = connection.execute(sa.select(table.c.version).where(table.c.name == name)).scalars().all()
        if of_name and version is not None:
            return NotFound(f"{what} {name} has no version {version}; it has: {_listed(of_name)}")
        if of_name:
            return NotFound(f"every version of {what} {name} is archived; restore one, or name the version")
    known = sa.select(table.c.name).distinct()
    if "version" in table.c:
        known = known.where(sa.not_(sa.func.coalesce(table.c.document["is_anonymous"].as_boolean(), sa.false())))
    existing = connection.execute(known).scalars().all()
    return NotFound(
        f"there is no {what} named {name}; " + (f"there are: {_listed(existing)}" if existing else "there is none yet")
    )


def _listed(names: Sequence[str]) -> str:
    shown = sorted(names)[:_NAMES_SHOWN]
    return ", ".join(shown) + (", …" if len(names) > _NAMES_SHOWN else "")
