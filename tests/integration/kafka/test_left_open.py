"""Clients of a broker leave no thread and no descriptor behind: neither when it answers nor when it is away."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from infra.settings import Settings
from infra.stream_summary import summaries
from infra.wiring.broker import topic_ends
from ingestion.errors import IngestionError, TryAgain
from ingestion.kafka.alert_topic import KafkaAlertTopic
from ingestion.kafka.history import KafkaHistory
from ingestion.kafka.letter_topic import KafkaLetterTopic
from ingestion.kafka.publisher import KafkaReadingPublisher
from ingestion.kafka.topic_ends import TopicEnds
from ingestion.kafka.topics import TopicAdmin, topic_specs, wait_for_broker
from ingestion.settings import TopicSettings
from tests.waiting import until

AWAY = "127.0.0.1:1"
OFTEN = 50
SOON = timedelta(seconds=0.6)
"""Longer than the half second that a fetch waits: the client takes no less."""


@pytest.fixture
def topic(kafka_bootstrap: str) -> Iterator[str]:
    topics = TopicSettings(readings=f"ends-{uuid4().hex[:8]}", partitions=2)
    with TopicAdmin(kafka_bootstrap) as admin:
        admin.ensure(topic_specs(topics)[:1])
        yield topics.readings
        admin.delete([topics.readings])


@pytest.fixture(autouse=True)
def unlogged() -> Iterator[None]:
    """What pytest keeps of the log holds errors, and these their sockets."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def held() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    gc.collect()  # a refused socket is part of a ring of objects
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def assert_nothing_left(before: tuple[int, int]) -> None:
    until("as few descriptors and threads as before", held, lambda now: now[0] <= before[0] and now[1] <= before[1])


@pytest.mark.stack
def test_ends_asked_for_often_are_one_connection(kafka_bootstrap: str, topic: str) -> None:
    before = held()
    with TopicEnds(lambda: kafka_bootstrap) as ends:
        assert ends(topic) == {0: 0, 1: 0}
        connected = held()
        for _ in range(OFTEN):
            ends(topic)
        assert held() == connected
    assert_nothing_left(before)


@pytest.mark.stack
def test_summaries_made_often_leave_nothing(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kafka_bootstrap=kafka_bootstrap, readings_topic=topic)
    before = held()
    for _ in range(OFTEN):
        with topic_ends(settings) as ends:
            (row,) = summaries(settings, ends)
            assert row["lag"] == 0
    assert_nothing_left(before)


@pytest.mark.stack
def test_a_topic_that_is_not_there_leaves_nothing(kafka_bootstrap: str) -> None:
    before = held()
    ends = TopicEnds(lambda: kafka_bootstrap)
    for _ in range(5):
        with pytest.raises(IngestionError):
            ends("nobody-made-it")
    assert_nothing_left(before)


def ends_away() -> None:
    TopicEnds(lambda: AWAY, limit=SOON)("readings")


def letters_away() -> None:
    KafkaLetterTopic(AWAY, "letters", "readings", limit=SOON).bounds()


def history_away() -> None:
    KafkaHistory(AWAY, "readings", limit=SOON).kept()


def alerts_away() -> None:
    KafkaAlertTopic(AWAY, "alerts", limit=SOON).published("windows")


def publisher_away() -> None:
    KafkaReadingPublisher(AWAY, "readings", connect_limit=SOON)


def waiting_away() -> None:
    wait_for_broker(AWAY, SOON)


@pytest.mark.parametrize(
    "ask",
    [ends_away, letters_away, history_away, alerts_away, publisher_away, waiting_away],
    ids=lambda ask: ask.__name__,
)
def test_a_broker_that_is_away_leaves_nothing(ask: Callable[[], None]) -> None:
    before = held()
    for _ in range(2):
        with pytest.raises(TryAgain):
            ask()
    assert_nothing_left(before)
