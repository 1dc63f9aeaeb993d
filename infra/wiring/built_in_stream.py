"""The built-in stream. `infra.wiring.defined_streams` has those that people define.

Imports are inside, so that a process loads only what it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.wiring.broker import kafka_bootstrap
from ingestion.steps import Listener, unheard

if TYPE_CHECKING:
    from ingestion.checkpoint import Progress


def stream_worker(settings: Settings, *, member: str, web_port: int | None, step: Listener = unheard) -> None:
    """Be the stream worker until told to stop; does not return. `step` is told each step of its commits."""
    from ingestion.stream.lean_process import become_lean

    become_lean()  # before the lake is loaded
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
