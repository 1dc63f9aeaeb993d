"""The only place where a port meets its adapter.

One function a part; imports are inside, so that a process loads only what it runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings
from ingestion.steps import Listener, unheard

if TYPE_CHECKING:
    from infra.api.parts import ServiceParts
    from ingestion.checkpoint import Progress
    from ingestion.kafka.publisher import KafkaReadingPublisher
    from ingestion.sensors.faults import FaultEpisode
    from scoring.compute.fleet import Fleet
    from scoring.compute.local import LocalCompute
    from scoring.environments.deployments import DeploymentEnvironments
    from scoring.environments.store import EnvironmentStore
    from scoring.job import Job
    from scoring.pipeline.step_ports import StepPorts
    from scoring.ports import (
        AssetStore,
        Catalog,
        InputReader,
        JobFinisher,
        JobKeeper,
        JobStore,
        OutputSink,
        ScheduleStore,
    )
    from scoring.runner import Patience
    from storage.datastores import Datastores
    from storage.lake.upkeep import LakeUpkeep
    from storage.postgres.listing import Listing
    from storage.postgres.migrate import Migration
    from storage.postgres.pipeline_store import PostgresPipelineStore
    from storage.postgres.static_data import Loaded
    from storage.queries.stores import Stores
    from storage.references import References
    from storage.step_places import StepPlaces

# --- Postgres: schema, static data, the stores of batch scoring ----------------------------------------------------


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


# --- what jobs read and write --------------------------------------------------------------------------------------


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


def environment_store(settings: Settings) -> EnvironmentStore:
    """Finished Python environments of this home."""
    from scoring.environments.store import EnvironmentStore

    return EnvironmentStore(settings.paths.registry / "environments")


def environments(settings: Settings) -> DeploymentEnvironments:
    """Makes and finds the Python environments that deployments ask for."""
    import sys

    from scoring.environment import Environment
    from scoring.environments.deployments import DeploymentEnvironments
    from scoring.environments.interpreters import Interpreter
    from scoring.environments.preparing import Preparer
    from scoring.environments.uv import Uv
    from scoring.specs.references import NamedKind, parse_reference

    assets, stored = asset_store(settings), catalog(settings)
    own = Interpreter(version=sys.version_info[:3], path=sys.executable)
    store = environment_store(settings)
    store.sweep()

    def environment_of(text: str) -> Environment:
        reference = parse_reference(text, NamedKind.ENVIRONMENT)
        return assets.get(Environment, reference.name, reference.version)

    return DeploymentEnvironments(
        Preparer(Uv(), store, python=own),
        environment_of=environment_of,
        model_of=lambda model: stored.model(model.name, model.version),
    )


# --- the engines: what works on jobs beside the requests ------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Engines:
    """`loops` run until their event is set; `wake` says that there is a new job; `close` ends the worker processes."""

    loops: Mapping[str, Callable[[threading.Event], None]]
    wake: Callable[[], None]
    close: Callable[[], None]
    fleet: Fleet


def engines(settings: Settings, *, runners: int = 4, patience: Patience | None = None) -> Engines:
    """Job runners side by side over one pool of worker processes, and the scheduler."""
    import uuid_utils

    from infra import this_machine
    from scoring.clock import SystemClock
    from scoring.compute.local import LocalCompute
    from scoring.compute.upkeep import Upkeep
    from scoring.deployment import Deployment
    from scoring.heir import Heir
    from scoring.owner import Owner, is_gone
    from scoring.pipeline.conductor import Conductor
    from scoring.runner import Patience, Runner, RunnerPorts
    from scoring.scheduler import Scheduler, SchedulerPorts
    from storage.inputs.splitting import split
    from storage.job_places import located

    stored, named = catalog(settings), references(settings)
    made = environments(settings)
    compute = LocalCompute(stored.compute, folder=settings.paths.logs, interpreter_of=made.interpreter)
    jobs, reader, clock = job_store(settings), input_reader(settings), SystemClock()
    stirred = threading.Event()
    ports = RunnerPorts(
        jobs=jobs,
        catalog=stored,
        reader=reader,
        compute=compute,
        sinks=sinks(settings),
        finisher=finisher(settings),
        clock=clock,
        jobs_folder=settings.paths.jobs,
        split=split,
        prepare=made.prepare,
        steps=step_ports(settings, compute, made),
        on_end=lambda job: stirred.set(),
        crowded=compute.fleet.crowded,
    )
    wake, here = threading.Event(), this_machine.machine()

    def woken() -> None:
        wake.set()
        stirred.set()

    loops: dict[str, Callable[[threading.Event], None]] = {}
    for number in range(runners):
        owner = Owner(machine=here, pid=os.getpid(), started=this_machine.started(os.getpid()) or "0", number=number)
        runner = Runner(ports, owner=str(owner), patience=patience or Patience())
        loops[f"runner-{number}"] = lambda stop, runner=runner: runner.serve(stop, wake=wake)  # type: ignore[misc]
    scheduler = Scheduler(
        SchedulerPorts(
            schedules=schedule_store(settings),
            jobs=jobs,
            catalog=stored,
            reader=reader,
            clock=clock,
            new_name=lambda schedule: str(uuid_utils.uuid7()),
            locate=lambda job: located(job, named),
            freeze=step_places(settings).frozen_work,
        ),
        on_job=lambda job: woken(),
    )
    loops["scheduler"] = scheduler.serve
    heir = Heir(
        job_keeper(settings),
        lambda text: is_gone(text, machine=here, started=this_machine.started),
        on_released=wake.set,
    )
    loops["heir"] = heir.serve
    conductor = Conductor(
        pipeline_store(settings), now=clock.now, jobs_folder=settings.paths.jobs, on_released=wake.set
    )
    loops["pipelines"] = lambda stop: conductor.serve(stop, wake=stirred)
    lists = listing(settings)
    if settings.lake_upkeep_seconds:
        loops["lake-upkeep"] = lake_upkeep(settings).serve

    def defaults() -> Sequence[Deployment]:
        found = [
            stored.deployment(endpoint.name, endpoint.default_deployment_name)
            for endpoint in lists.endpoints()
            if endpoint.default_deployment_name is not None
        ]
        return [deployment for deployment in found if isinstance(deployment, Deployment)]

    loops["clusters"] = Upkeep(compute=compute, clusters=lists.computes, deployments=defaults).serve

    return Engines(loops=loops, wake=woken, close=compute.close, fleet=compute.fleet)


def step_ports(settings: Settings, compute: LocalCompute, made: DeploymentEnvironments) -> StepPorts:
    """What commands and steps of pipelines need beside what every job does."""
    from scoring.pipeline.command_process import CommandProcess
    from scoring.pipeline.step_ports import StepPorts

    places = step_places(settings)
    return StepPorts(
        commands=CommandProcess(compute.fleet),
        interpreter=made.interpreter,
        input_path=places.input_path,
        output_path=places.output_path,
        reusable=pipeline_store(settings).reusable,
        register=places.register,
    )


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


def lake_upkeep(settings: Settings) -> LakeUpkeep:
    """Joins small files of the lake and deletes what neither jobs nor schedules need."""
    from storage.lake.upkeep import LakeUpkeep

    return LakeUpkeep(
        settings.paths.lake,
        lambda: lake_needed_from(settings),
        every=timedelta(seconds=settings.lake_upkeep_seconds),
        retention=timedelta(hours=settings.lake_retention_hours),
    )


def lake_needed_from(settings: Settings) -> Mapping[str, int]:
    """From which version on jobs, schedules and alerts need a lake table's history. Raises TryAgain, InvalidInput."""
    from infra.alert_wiring import alerts_needed_from
    from scoring.job import JobStatus
    from storage.inputs.history import needed_from

    lists = listing(settings)
    unended = [status for status in JobStatus if not status.is_terminal]
    found = needed_from(lists.jobs(statuses=unended, limit=100_000), lists.schedules())
    for table, version in alerts_needed_from(settings).items():
        found[table] = min(version, found.get(table, version))
    return found


# --- Kafka: readings out, ground truth of the simulator --------------------------------------------------------------


def kafka_bootstrap(settings: Settings) -> str:
    """Where the broker answers; the rest of the stack need not be known. Raises InvalidInput."""
    return settings.kafka_bootstrap or settings.address().kafka_bootstrap


def reading_publisher(settings: Settings) -> KafkaReadingPublisher:
    """A connected publisher to the readings topic; close it. Raises TryAgain where the broker or the topic is away."""
    from ingestion.kafka.publisher import KafkaReadingPublisher

    return KafkaReadingPublisher(kafka_bootstrap(settings), settings.stream.topics.readings)


def fault_writer(settings: Settings) -> Callable[[Sequence[FaultEpisode]], int]:
    """Call it with fault episodes to store them in the lake's `faults` table; returns how many were new."""
    from storage.lake.faults import write_faults

    return lambda episodes: write_faults(settings.paths.lake, episodes)


# --- the read side ---------------------------------------------------------------------------------------------------


def stores(settings: Settings) -> Stores:
    """Where the read side reads. Raises InvalidInput where no stack is known."""
    from storage.queries.stores import Stores

    url = settings.postgres_url.get_secret_value() if settings.postgres_url else settings.address().postgres_url
    return Stores(lake=settings.paths.lake, postgres_url=url)


# --- the stream ----------------------------------------------------------------------------------------------------


def stream_worker(settings: Settings, *, member: str, web_port: int | None, step: Listener = unheard) -> None:
    """Be the stream worker until told to stop; does not return. `step` is told each step of its commits."""
    from ingestion.kafka.dead_letters import KafkaDeadLetterQueue
    from ingestion.pipeline import Pipeline
    from ingestion.stream.app import run
    from storage.lake.window_sink import LakeWindowSink

    home, stream, bootstrap = settings.paths, settings.stream, kafka_bootstrap(settings)
    sink = LakeWindowSink(
        lake_root=home.lake, state_root=home.stream_state, stream=stream.name, topic=stream.topics.readings, step=step
    )
    letters = KafkaDeadLetterQueue(bootstrap, stream.topics.dead_letters, stream.topics.readings, step=step)
    run(
        stream,
        bootstrap,
        Pipeline(stream, sink, letters, step=step, committer=ThreadPoolExecutor(1, "commits")),
        member=member,
        web_port=web_port,
        data_folder=home.run / "faust",
        readiness=home.run / "stream.json",
    )


def stream_progress(settings: Settings) -> Mapping[int, Progress]:
    """How far each partition of the stream is, as of its last commit."""
    from storage.lake.stream_state import read_progress

    stream = settings.stream
    return read_progress(
        settings.paths.lake, settings.paths.stream_state, stream.name, stream.topics.readings, stream.topics.partitions
    )


def topic_ends(settings: Settings, topic: str | None = None) -> Callable[[], Mapping[int, int]]:
    """Call it for the next offset to be written, by partition. It keeps its connection while the broker answers.

    topic  that of the readings where None is given
    """
    from ingestion.errors import IngestionError
    from ingestion.kafka.topics import TopicAdmin

    held: list[TopicAdmin] = []

    def ends() -> Mapping[int, int]:
        if not held:
            held.append(TopicAdmin(kafka_bootstrap(settings), limit=timedelta(seconds=4)))
        try:
            return held[0].end_offsets(topic or settings.stream.topics.readings)
        except IngestionError:
            held.pop().close()
            raise

    return ends


def stream_rows(settings: Settings) -> Callable[[], Sequence[Mapping[str, object]]]:
    """Call it for a row a stream, as `infra.stream_summary` makes them; it keeps its connections to the broker."""
    from infra.stream_summary import summaries

    held: dict[str, Callable[[], Mapping[int, int]]] = {}

    def ends(topic: str) -> Mapping[int, int]:
        if topic not in held:
            held[topic] = topic_ends(settings, topic)
        return held[topic]()

    return lambda: summaries(settings, ends)


# --- the service -----------------------------------------------------------------------------------------------------


def service_parts(settings: Settings) -> ServiceParts:
    """All that `tidemill serve` is made of."""
    from infra.alert_wiring import alert_loop
    from infra.api.parts import Loop, ServiceParts
    from infra.api.stream_look import StreamLook
    from infra.letters import open_letters
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
            topic_ends(settings),
            topic=settings.stream.topics.readings,
            open_letters=open_letters(settings),
            streams=stream_rows(settings),
        ),
        ping=ping,
        fleet=working.fleet,
        wake=working.wake,
        loops=[
            *(Loop(name=name, run=run) for name, run in working.loops.items()),
            Loop(name="alerts", run=alert_loop(settings).serve),
        ],
        close=working.close,
    )
