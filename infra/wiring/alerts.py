"""The evaluation of alerts. Imports are inside, so that a process loads only what it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from infra.stream_summary import Ends
    from ingestion.alerts.evaluator import AlertedStream
    from ingestion.alerts.ports import AlertStep
    from ingestion.alerts.runner import AlertRunner


def serve_alerts(settings: Settings, stop: threading.Event) -> None:
    """Evaluate all streams' alerts until the event is set, for the service."""
    from infra.alert_loop import AlertLoop
    from infra.alert_rules import AlertRules
    from infra.wiring.broker import topic_ends
    from storage.lake.alerts import known_streams

    state = settings.paths.stream_state
    with topic_ends(settings) as ends:
        AlertLoop(
            AlertRules(settings).all, lambda: known_streams(state), lambda stream: alert_runner(settings, stream, ends)
        ).serve(stop)


def alert_runner(
    settings: Settings, stream: AlertedStream, ends: Ends, *, step: Callable[[AlertStep], None] = lambda step: None
) -> AlertRunner:
    """The evaluation of one stream's alerts; `ends` tells how long topics are, `step` is told each step of it."""
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.alerts.runner import AlertRunner
    from ingestion.kafka.alert_topic import KafkaAlertTopic
    from storage.lake.alerts import LakeAlerts
    from storage.lake.window_versions import WindowVersions

    home = settings.paths
    return AlertRunner(
        stream,
        WindowVersions(home.lake, stream.table),
        LakeAlerts(home.lake, home.stream_state, stream.name, step=step),
        KafkaAlertTopic(kafka_bootstrap(settings), settings.stream.topics.alerts, step=step),
        quiet=_quiet(settings, stream, ends),
        step=step,
    )


def alerts_needed_from(settings: Settings) -> Mapping[str, int]:
    """From which version on the evaluation of alerts needs the history of lake tables. Raises TryAgain."""
    from infra.alert_rules import AlertRules
    from storage.lake.alerts import needed_versions

    # where the rules are wrong, those of before go on
    stored = [one for one in AlertRules(settings).all() if one.problem is not None or (one.stream and one.stream.rules)]
    return needed_versions(settings.paths.lake, {one.name: one.table for one in stored})


def _quiet(settings: Settings, stream: AlertedStream, ends_of: Ends) -> Callable[[], Collection[int]]:
    """Partitions of which the stream has committed everything that the broker holds. Empty where it cannot be told."""
    from infra.stream_definitions import StreamDefinitions
    from infra.wiring import built_in_stream, defined_streams
    from ingestion.errors import IngestionError
    from scoring.errors import ScoringError

    if stream.name == settings.stream.name or not stream.rules:
        topic, progress_now = settings.readings_topic, partial(built_in_stream.stream_progress, settings)
    else:
        definition = StreamDefinitions(settings).get(stream.name)
        topic, progress_now = definition.topic, partial(defined_streams.stream_progress, settings, definition)

    def quiet() -> Collection[int]:
        try:
            # the ends first: what comes after them is not asked for
            ends, progress = ends_of(topic), progress_now()
        except (IngestionError, ScoringError):
            return ()
        return [number for number, end in ends.items() if number in progress and progress[number].next_offset >= end]

    return quiet
