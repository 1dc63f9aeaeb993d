"""Computes, models, endpoints and deployments in Postgres."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine, RowMapping

from scoring.components.jobs import PipelineDeployment
from scoring.compute.cluster import Compute
from scoring.deployment import Deployment
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, NotFound
from scoring.model import Model
from storage.postgres import rows
from storage.postgres.asset_store import PostgresAssetStore
from storage.postgres.engine import transaction
from storage.postgres.tables import computes, deployments, endpoints, models

Item = Compute | Endpoint | Deployment | PipelineDeployment | Model

_NAMES_SHOWN = 12


class PostgresCatalog:
    """`scoring.ports.Catalog`. Replacing keeps the time of creation."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._assets = PostgresAssetStore(engine)

    def put(self, item: Item) -> None:
        """Raises Conflict for a model version with other content, NotFound for a deployment without its endpoint."""
        table, key = _place(item)
        row: dict[str, Any] = {**key, "document": rows.catalog_document(item)}
        if item.created_at is not None:
            row["created_at"] = item.created_at
        if isinstance(item, Model):
            row["content_hash"] = item.content_hash
        with transaction(self._engine) as connection:
            if isinstance(item, (Deployment, PipelineDeployment)):
                _require_endpoint(connection, item.endpoint_name)
            statement = insert(table).values(row)
            replaced = statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={"document": statement.excluded.document},
                where=models.c.content_hash == item.content_hash if isinstance(item, Model) else None,
            )
            if connection.execute(replaced).rowcount == 0:
                raise Conflict(
                    f"model {key['name']} version {key['version']} exists already with other content; "
                    "a version never changes, register the new content under another one"
                )

    def compute(self, name: str) -> Compute:
        return rows.compute_of(self._one("compute", computes, name=name))

    def endpoint(self, name: str) -> Endpoint:
        return rows.endpoint_of(self._one("batch endpoint", endpoints, name=name))

    def deployment(self, endpoint_name: str, name: str) -> Deployment | PipelineDeployment:
        return rows.deployment_of(
            self._one(f"deployment of endpoint {endpoint_name}", deployments, endpoint_name=endpoint_name, name=name)
        )

    def model(self, name: str, version: str | None = None) -> Model:
        return self._assets.get(Model, name, version)

    def delete(self, item: Item) -> None:
        table, key = _place(item)
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(table).where(*(table.c[column] == value for column, value in key.items())))

    def _one(self, what: str, table: sa.Table, **key: str) -> RowMapping:
        *outer, (column, value) = key.items()
        within = [table.c[name] == wanted for name, wanted in outer]
        with transaction(self._engine, read_only=True) as connection:
            row = connection.execute(sa.select(table).where(*within, table.c[column] == value)).mappings().first()
            if row is None:
                if table is deployments:
                    _require_endpoint(connection, key["endpoint_name"])
                raise _not_found(connection, what, value, sa.select(table.c[column]).where(*within))
            return row


def _place(item: Item) -> tuple[sa.Table, dict[str, str]]:
    if isinstance(item, Compute):
        return computes, {"name": item.name}
    if isinstance(item, Endpoint):
        return endpoints, {"name": item.name}
    if isinstance(item, (Deployment, PipelineDeployment)):
        return deployments, {"endpoint_name": item.endpoint_name, "name": item.name}
    return models, {"name": item.name, "version": item.version}


def _require_endpoint(connection: Connection, name: str) -> None:
    known = sa.select(endpoints.c.name)
    if connection.execute(known.where(endpoints.c.name == name)).first() is None:
        raise _not_found(connection, "batch endpoint", name, known)


def _not_found(connection: Connection, what: str, wanted: str, names: sa.Select[Any]) -> NotFound:
    existing = sorted(connection.execute(names).scalars())
    shown = ", ".join(existing[:_NAMES_SHOWN]) + (", …" if len(existing) > _NAMES_SHOWN else "")
    return NotFound(
        f"there is no {what} named {wanted}; " + (f"there are: {shown}" if existing else "there is none yet")
    )
