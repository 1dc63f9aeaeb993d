"""What jobs read and write, and where the data of their steps lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.wiring.stores import asset_store, datastores, references

if TYPE_CHECKING:
    from scoring.job import Job
    from scoring.ports import InputReader, JobFinisher, OutputSink
    from storage.step_places import StepPlaces


def input_reader(settings: Settings) -> InputReader:
    from storage.inputs.reader import InputsByType, Places
    from storage.postgres.engine import shared_engine

    engine = shared_engine(settings.address().postgres_url)
    return InputsByType(Places(lake=settings.paths.lake, engine=engine))


def sinks(settings: Settings) -> Callable[[Job], Sequence[OutputSink]]:
    """For a job the sinks that its rows go to, in the order of commit; one that does not concern it writes nothing."""
    from storage.sinks.places import Places, all_sinks

    made = all_sinks(Places(lake=settings.paths.lake, jobs=settings.paths.jobs))
    return lambda job: made


def finisher(settings: Settings) -> JobFinisher:
    from storage.postgres.engine import shared_engine
    from storage.sinks.postgres_predictions import PostgresFinisher

    return PostgresFinisher(shared_engine(settings.address().postgres_url))


def step_places(settings: Settings) -> StepPlaces:
    """Where the data of commands and pipelines lies."""
    from scoring.clock import SystemClock
    from scoring.datastore import DEFAULT_DATASTORE
    from storage.registration import Registration
    from storage.registry import Registry
    from storage.step_places import StepPlaces
    from storage.web import WebInputs

    assets, stores, named = asset_store(settings), datastores(settings), references(settings)
    registry = Registry(settings.paths.registry)
    web = WebInputs(registry, stores.folder(DEFAULT_DATASTORE, place="input.path"))
    return StepPlaces(named, web.fetch, Registration(assets, registry, stores, named, SystemClock()))
