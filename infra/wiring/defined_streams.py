"""The streams that people define; `infra.wiring.built_in_stream` has the one of every installation.

Imports are inside, so that a process loads only what it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from infra.settings import Settings
from ingestion.errors import InvalidInput
from ingestion.steps import Listener, unheard

if TYPE_CHECKING:
    from ingestion.checkpoint import Progress
    from ingestion.definition import StreamDefinition
    from ingestion.preparation import Preparation
    from ingestion.settings import StreamSettings
    from ingestion.stream_letters import StreamLetters


def readiness_file(settings: Settings, name: str) -> Path:
    """Where a stream's worker says that it has its partitions."""
    return settings.paths.run / f"stream-{name}.json"


def runs(settings: Settings, name: str) -> bool:
    """Does the process live that said last that it is the stream's worker?"""
    try:
        pid = int(json.loads(readiness_file(settings, name).read_text())["pid"])
        # a number is given again; a zombie has no command line
        return "run" in psutil.Process(pid).cmdline()
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return False


def settings_of(settings: Settings, definition: StreamDefinition) -> StreamSettings:
    """The settings of the installation with the definition's name and topic."""
    from ingestion.letter_topics import letters_of_stream, letters_of_topic

    stream = settings.stream
    return replace(
        stream,
        name=definition.name,
        group_id=f"tidemill-{definition.name}-{definition.topic}",
        topics=replace(
            stream.topics,
            readings=definition.topic,
            dead_letters=letters_of_topic(definition.topic),
            own_letters=letters_of_stream(definition.topic, definition.name) if definition.fields else None,
        ),
    )


def preparation(settings: Settings, definition: StreamDefinition) -> Preparation:
    """What the definition does with readings before they are folded. Raises InvalidInput."""
    from infra.wiring.lake import stores
    from ingestion.preparation import Preparation
    from storage.postgres.engine import shared_engine
    from storage.preparation.rows import DuckRowPreparation

    if not definition.needs_preparation:
        return Preparation(definition=definition, rows=None)
    rows = DuckRowPreparation(
        definition,
        # looked up when it is asked for: a definition without joins runs without Postgres
        lambda: shared_engine(stores(settings).postgres_url),
        settings.paths.stream_state / "static",
    )
    return Preparation(definition=definition, rows=rows)


def check_startable(settings: Settings, definition: StreamDefinition) -> None:
    """Raises InvalidInput where the lake holds what does not fit: a table of other columns, another one's windows."""
    from ingestion.preparation import Preparation
    from storage.lake.stream_state import partitions_with_state, read_states
    from storage.lake.stream_tables import StreamTables

    tables, home = StreamTables.of(definition), settings.paths
    tables.check(home.lake)
    partitions = partitions_with_state(home.stream_state, definition.name, definition.topic)
    states = read_states(
        home.lake, home.stream_state, definition.name, definition.topic, partitions, table=tables.windows
    )
    for state in states.values():
        Preparation(definition=definition, rows=None).check(state)


def stream_worker(settings: Settings, definition: StreamDefinition, *, member: str, step: Listener = unheard) -> None:
    """Be the worker of a defined stream until told to stop; does not return. `step` is told each step of its commits.

    Raises InvalidInput, before anything is made, where the topic is missing or the lake does not fit.
    """
    from ingestion.stream.lean_process import become_lean

    become_lean()  # before the lake is loaded
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.pipeline import Pipeline
    from ingestion.stream.app import run
    from storage.lake.stream_tables import StreamTables
    from storage.lake.window_sink import LakeWindowSink

    home, bootstrap = settings.paths, kafka_bootstrap(settings)
    check_startable(settings, definition)
    check_topic(settings, definition)
    stream, tables = settings_of(settings, definition), StreamTables.of(definition)
    prepared = preparation(settings, definition)
    sink = LakeWindowSink(
        lake_root=home.lake,
        state_root=home.stream_state,
        stream=stream.name,
        topic=stream.topics.readings,
        windows=tables.windows,
        late=tables.late,
        step=step,
    )
    letters = _letters(settings, definition, bootstrap)
    commits = ThreadPoolExecutor(1, "commits")
    run(
        stream,
        bootstrap,
        Pipeline(stream, sink, letters, preparation=prepared, step=step, committer=commits),
        member=member,
        web_port=None,
        data_folder=home.run / f"faust-{definition.name}",
        readiness=readiness_file(settings, definition.name),
    )


def check_topic(settings: Settings, definition: StreamDefinition) -> int:
    """The topic's number of partitions; the topics of its dead letters are made where they are missing.

    Raises InvalidInput where there is no such topic, TryAgain where no broker answers.
    """
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.kafka.topics import DEAD_LETTERS_CONFIG, TopicAdmin, TopicSpec
    from ingestion.letter_topics import letters_of_stream, letters_of_topic

    with TopicAdmin(kafka_bootstrap(settings)) as admin:
        found = admin.describe([definition.topic])
        if not found:
            raise InvalidInput(
                f"source.topic: there is no topic '{definition.topic}' on the broker; it has "
                f"{', '.join(admin.names()) or 'none'}; create it with "
                f"`TIDEMILL_READINGS_TOPIC={definition.topic} tidemill topics create`"
            )
        partitions = found[0].partitions
        wanted = [letters_of_stream(definition.topic, definition.name)] if definition.fields else []
        if definition.topic != settings.readings_topic:
            wanted.append(letters_of_topic(definition.topic))
        admin.ensure([TopicSpec(name=name, partitions=partitions, config=DEAD_LETTERS_CONFIG) for name in wanted])
    return partitions


def _letters(settings: Settings, definition: StreamDefinition, bootstrap: str) -> StreamLetters:
    from ingestion.kafka.dead_letters import KafkaDeadLetterQueue
    from ingestion.letter_topics import letters_of_stream, letters_of_topic
    from ingestion.stream_letters import StreamLetters
    from storage.letter_claims import holds_claim

    topic, home = definition.topic, settings.paths
    own_topic = letters_of_stream(topic, definition.name)
    own = KafkaDeadLetterQueue(bootstrap, own_topic, topic)
    shared = None
    if topic != settings.readings_topic:
        shared = KafkaDeadLetterQueue(bootstrap, letters_of_topic(topic), topic)

    def is_there(name: str) -> bool:
        # one in the foreground need not be defined in the home
        return (home.streams / f"{name}.yml").exists() or runs(settings, name)

    def is_writer() -> bool:
        return holds_claim(home.stream_state, topic, definition.name, is_defined=is_there)

    return StreamLetters(own if definition.fields else None, shared, is_writer, own_topic=own_topic)


def stream_progress(settings: Settings, definition: StreamDefinition) -> Mapping[int, Progress]:
    """How far each partition of a defined stream is, as of its last commit."""
    from storage.lake.stream_state import partitions_with_state, read_progress
    from storage.lake.stream_tables import StreamTables

    home = settings.paths
    partitions = partitions_with_state(home.stream_state, definition.name, definition.topic)
    return read_progress(
        home.lake,
        home.stream_state,
        definition.name,
        definition.topic,
        partitions,
        table=StreamTables.of(definition).windows,
    )


def table_rows(settings: Settings, definition: StreamDefinition) -> int:
    """Rows of the stream's table, corrected ones included."""
    from storage.lake.stream_tables import columns_of
    from storage.queries.lake import snapshot

    if columns_of(settings.paths.lake / definition.table) is None:
        return 0
    return snapshot(settings.paths.lake, definition.table).rows


def reset(settings: Settings, definition: StreamDefinition) -> list[str]:
    """Delete a stream's tables and state; the names of the tables that there were. Its worker must not run."""
    from storage.lake.stream_state import forget
    from storage.lake.stream_tables import StreamTables

    gone = StreamTables.of(definition).delete(settings.paths.lake)
    forget(settings.paths.stream_state, definition.name, definition.topic)
    return gone
