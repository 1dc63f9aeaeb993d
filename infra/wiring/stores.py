"""Postgres's side: the schema, static data, and the stores that batch scoring works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from scoring.ports import AssetStore, Catalog, JobKeeper, JobStore, ScheduleStore
    from storage.datastores import Datastores
    from storage.postgres.listing import Listing
    from storage.postgres.migrate import Migration
    from storage.postgres.pipeline_store import PostgresPipelineStore
    from storage.postgres.static_data import Loaded
    from storage.references import References


def migration(settings: Settings) -> Callable[[], Migration]:
    """Call it to bring the database's schema up to date."""
    from storage.postgres.engine import create_engine
    from storage.postgres.migrate import upgrade

    engine = create_engine(settings.address().postgres_url)
    return lambda: upgrade(engine)


def static_data(settings: Settings) -> Callable[[Sequence[Path], str | None], Sequence[Loaded]]:
    """Call it with CSV files or folders, and the table of a single file, to load them."""
    from storage.postgres.engine import create_engine
    from storage.postgres.static_data import files_in, load

    engine = create_engine(settings.address().postgres_url)
    return lambda paths, table: load(engine, files_in(paths, table))


def job_store(settings: Settings) -> JobStore:
    from storage.postgres.engine import shared_engine
    from storage.postgres.job_store import PostgresJobStore

    return PostgresJobStore(shared_engine(settings.address().postgres_url))


def job_keeper(settings: Settings) -> JobKeeper:
    from storage.postgres.engine import shared_engine
    from storage.postgres.job_store import PostgresJobStore

    return PostgresJobStore(shared_engine(settings.address().postgres_url))


def pipeline_store(settings: Settings) -> PostgresPipelineStore:
    from storage.postgres.engine import shared_engine
    from storage.postgres.pipeline_store import PostgresPipelineStore

    return PostgresPipelineStore(shared_engine(settings.address().postgres_url))


def catalog(settings: Settings) -> Catalog:
    from storage.postgres.catalog import PostgresCatalog
    from storage.postgres.engine import shared_engine

    return PostgresCatalog(shared_engine(settings.address().postgres_url))


def asset_store(settings: Settings) -> AssetStore:
    from storage.postgres.asset_store import PostgresAssetStore
    from storage.postgres.engine import shared_engine

    return PostgresAssetStore(shared_engine(settings.address().postgres_url))


def datastores(settings: Settings) -> Datastores:
    from storage.datastores import Datastores

    return Datastores(settings.paths.datastores, asset_store(settings))


def references(settings: Settings) -> References:
    """From what documents name to models, environments, data assets and paths of this machine."""
    from storage.job_places import output_folders
    from storage.references import References

    return References(
        asset_store(settings),
        datastores(settings),
        job_output=output_folders(job_store(settings), settings.paths.jobs),
    )


def schedule_store(settings: Settings) -> ScheduleStore:
    from storage.postgres.engine import shared_engine
    from storage.postgres.schedule_store import PostgresScheduleStore

    return PostgresScheduleStore(shared_engine(settings.address().postgres_url))


def listing(settings: Settings) -> Listing:
    """Lists of jobs, mini-batches, computes, models, endpoints, deployments and schedules."""
    from storage.postgres.engine import shared_engine
    from storage.postgres.listing import Listing

    return Listing(shared_engine(settings.address().postgres_url))
