"""All that `tidemill serve` is made of."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.wiring.broker import topic_ends
from infra.wiring.built_in_stream import stream_progress
from infra.wiring.engines import engines
from infra.wiring.job_data import input_reader, sinks
from infra.wiring.stores import (
    asset_store,
    catalog,
    datastores,
    job_keeper,
    job_store,
    listing,
    references,
    schedule_store,
)

if TYPE_CHECKING:
    from infra.api.parts import ServiceParts


def service_parts(settings: Settings) -> ServiceParts:
    """All that `tidemill serve` is made of."""
    from infra.api.parts import Loop, ServiceParts
    from infra.api.stream_look import StreamLook
    from infra.letters import open_letters
    from infra.stream_summary import summaries
    from infra.wiring.alerts import serve_alerts
    from scoring.clock import SystemClock
    from scoring.datastore import DEFAULT_DATASTORE
    from scoring.runner import Patience
    from storage.postgres.engine import shared_engine, transaction
    from storage.postgres.token_store import PostgresTokenStore
    from storage.registration import Registration
    from storage.registry import Registry
    from storage.web import WebInputs

    engine = shared_engine(settings.address().postgres_url)

    def ping() -> None:
        with transaction(engine, read_only=True) as connection:
            connection.exec_driver_sql("select 1")

    registry = Registry(settings.paths.registry)
    registry.sweep()
    assets, stores, named = asset_store(settings), datastores(settings), references(settings)
    # a killed service's jobs wait as long as this for the next one; two lost renewals do no harm
    working = engines(settings, patience=Patience(lease=timedelta(seconds=15)))
    topic, ends = settings.stream.topics.readings, topic_ends(settings)

    def close() -> None:
        ends.close()
        working.close()

    return ServiceParts(
        catalog=catalog(settings),
        assets=assets,
        jobs=job_store(settings),
        keeper=job_keeper(settings),
        schedules=schedule_store(settings),
        listing=listing(settings),
        registry=registry,
        datastores=stores,
        references=named,
        registration=Registration(assets, registry, stores, named, SystemClock()),
        fetch=WebInputs(registry, stores.folder(DEFAULT_DATASTORE, place="input.path")).fetch,
        inputs=input_reader(settings),
        sinks=sinks(settings),
        clock=SystemClock(),
        tokens=PostgresTokenStore(engine),
        jobs_folder=settings.paths.jobs,
        stream=StreamLook(
            lambda: stream_progress(settings),
            lambda: ends(topic),
            topic=topic,
            open_letters=open_letters(settings),
            streams=lambda: summaries(settings, ends),
        ),
        ping=ping,
        fleet=working.fleet,
        wake=working.wake,
        loops=[
            *(Loop(name=name, run=run) for name, run in working.loops.items()),
            Loop(name="alerts", run=partial(serve_alerts, settings)),
        ],
        close=close,
    )
