"""Topics of a broker: create, describe, end offsets; and waiting until a broker answers.

Every call has a limit and raises TryAgain, saying what it waited for, when the broker does not answer within it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.admin import OffsetSpec as Spec
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

from ingestion.errors import InvalidInput, TryAgain
from ingestion.kafka.connection import connected
from ingestion.settings import TopicSettings

MAX_MESSAGE_BYTES = 12_000_000
"""Longest message that the readings topic takes. Far above what the stream accepts, so that an oversized message
reaches the stream and is dead-lettered with its reason there, instead of vanishing at the sender."""

_DAY_MS = 24 * 3600 * 1000

READINGS_CONFIG: Mapping[str, str] = {
    "max.message.bytes": str(MAX_MESSAGE_BYTES),
    # the broker's clock: retention and the check for future event times must not trust a sensor's
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": str(7 * _DAY_MS),
    "retention.bytes": str(2 * 1024**3),  # per partition
    "segment.bytes": str(128 * 1024**2),
    "cleanup.policy": "delete",
}

DEAD_LETTERS_CONFIG: Mapping[str, str] = {
    "max.message.bytes": str(2 * MAX_MESSAGE_BYTES),  # the original bytes, and room for what is said about them
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": str(30 * _DAY_MS),
    "retention.bytes": str(512 * 1024**2),
    "segment.bytes": str(64 * 1024**2),
    "cleanup.policy": "delete",
}

ALERTS_CONFIG: Mapping[str, str] = {
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": str(30 * _DAY_MS),
    "retention.bytes": str(256 * 1024**2),
    "segment.bytes": str(64 * 1024**2),
    "cleanup.policy": "delete",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicSpec:
    """A topic as it should be. One broker: one replica."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicState:
    """A topic as it is. `beginning` and `end` are offsets by partition: the first kept, and the next to be written.

    `config` holds what is set on the topic itself, not the broker's defaults.
    """

    name: str
    partitions: int
    beginning: Mapping[int, int]
    end: Mapping[int, int]
    config: Mapping[str, str]

    @property
    def messages(self) -> int:
        """Messages kept now: an upper bound, since offsets may have gaps."""
        return sum(self.end.values()) - sum(self.beginning.values())


def topic_specs(settings: TopicSettings) -> tuple[TopicSpec, TopicSpec, TopicSpec]:
    """The readings topic and its dead letters: as many partitions each, so that a dead letter keeps its partition.

    And the topic of alerts: one partition, as they have one order.
    """
    return (
        TopicSpec(name=settings.readings, partitions=settings.partitions, config=READINGS_CONFIG),
        TopicSpec(name=settings.dead_letters, partitions=settings.partitions, config=DEAD_LETTERS_CONFIG),
        TopicSpec(name=settings.alerts, partitions=1, config=ALERTS_CONFIG),
    )


class TopicAdmin:
    """One admin connection; use it as a context manager. Not safe for use by several threads at once."""

    def __init__(self, bootstrap: str, *, limit: timedelta = timedelta(seconds=15)) -> None:
        """Connects. Raises TryAgain where no broker answers within `limit`, which is also the limit of each call."""
        self._bootstrap = bootstrap
        self._limit_ms = _milliseconds(limit)
        with self._asking("a connection"):
            self._client = connected(
                KafkaAdminClient,
                bootstrap,
                limit=limit,
                client_id="tidemill-topics",
                request_timeout_ms=self._limit_ms,
                reconnect_backoff_max_ms=1000,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def names(self) -> list[str]:
        """Every topic of the broker but Kafka's own, in order of name."""
        with self._asking("the list of topics"):
            return sorted(name for name in self._client.list_topics() if not name.startswith("__"))

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create what is missing and bring the configuration of what exists up to date; returns the names created.

        Raises InvalidInput where a topic exists with another number of partitions: changing it would move keys to other
        partitions and break the order of a machine's readings.
        """
        existing = {state.name: state for state in self.describe([spec.name for spec in specs])}
        for spec in specs:
            found = existing.get(spec.name)
            if found is not None and found.partitions != spec.partitions:
                raise InvalidInput(
                    f"topic {spec.name!r} has {found.partitions} partitions, the settings want {spec.partitions}; set "
                    f"TIDEMILL_PARTITIONS={found.partitions}, or start afresh with `tidemill reset`"
                )
        missing = [spec for spec in specs if spec.name not in existing]
        for spec in missing:
            self._create(spec)
        if missing:
            with self._asking(f"the leaders of {', '.join(spec.name for spec in missing)}"):
                self._client.wait_for_topics([spec.name for spec in missing], timeout_ms=self._limit_ms)
        for spec in specs:
            found = existing.get(spec.name)
            if found is not None and any(found.config.get(key) != value for key, value in spec.config.items()):
                self._configure(spec)
        return [spec.name for spec in missing]

    def describe(self, names: Sequence[str]) -> list[TopicState]:
        """The named topics that exist, in the given order."""
        if not names:
            return []
        with self._asking("a description of topics"):
            found = {
                topic["name"]: sorted(part["partition_index"] for part in topic["partitions"])
                for topic in self._client.describe_topics(list(names))
                if topic["error_code"] == 0
            }
        present = [name for name in names if name in found]
        if not present:
            return []
        where = [TopicPartition(name, partition) for name in present for partition in found[name]]
        beginning, end = self._offsets(where, Spec.EARLIEST), self._offsets(where, Spec.LATEST)
        config = self._configs(present)
        return [
            TopicState(
                name=name,
                partitions=len(found[name]),
                beginning={partition: beginning[TopicPartition(name, partition)] for partition in found[name]},
                end={partition: end[TopicPartition(name, partition)] for partition in found[name]},
                config=config[name],
            )
            for name in present
        ]

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The next offset to be written, by partition. Raises InvalidInput where there is no such topic."""
        with self._asking(f"the partitions of {topic}"):
            described = self._client.describe_topics([topic])
        partitions = sorted(part["partition_index"] for one in described for part in one["partitions"])
        if not partitions:
            raise InvalidInput(f"topic {topic!r} does not exist; create it with `tidemill topics create`")
        found = self._offsets([TopicPartition(topic, partition) for partition in partitions], Spec.LATEST)
        return {where.partition: offset for where, offset in found.items()}

    def delete(self, names: Sequence[str]) -> None:
        """Delete the named topics with all they hold; an absent one is no error."""
        for name in names:
            with self._asking(f"the deletion of {name}"):
                try:
                    self._client.delete_topics([name], timeout_ms=self._limit_ms)
                except UnknownTopicOrPartitionError:
                    pass

    def _create(self, spec: TopicSpec) -> None:
        wanted = {spec.name: {"num_partitions": spec.partitions, "replication_factor": 1, "configs": dict(spec.config)}}
        with self._asking(f"the creation of {spec.name}"):
            try:
                self._client.create_topics(wanted, timeout_ms=self._limit_ms)
            except TopicAlreadyExistsError:
                pass  # somebody else was faster with the same settings

    def _configure(self, spec: TopicSpec) -> None:
        with self._asking(f"the configuration of {spec.name}"):
            self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name, configs=dict(spec.config))])

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        with self._asking("the configuration of topics"):
            answer = self._client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        return {name: {key: str(entry["value"]) for key, entry in answer["topic"][name].items()} for name in names}

    def _offsets(self, where: Sequence[TopicPartition], spec: Spec) -> dict[TopicPartition, int]:
        with self._asking("offsets"):
            answer = self._client.list_partition_offsets(dict.fromkeys(where, spec), timeout_ms=self._limit_ms)
        return {partition: found.offset for partition, found in answer.items()}

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with translated(
            f"kafka at {self._bootstrap} did not answer within {self._limit_ms / 1000:g} s when asked for {what}"
        ):
            yield


@contextmanager
def translated(what_failed: str) -> Iterator[None]:
    """Kafka's errors as TryAgain (it may go better later), with the text given and Kafka's own word."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise TryAgain(f"{what_failed}: {error}") from error


def wait_for_broker(bootstrap: str, limit: timedelta) -> None:
    """Returns when a broker answers with a controller and itself in the cluster; raises TryAgain after `limit`."""
    deadline = time.monotonic() + limit.total_seconds()
    last = "nobody listens there"
    while (left := deadline - time.monotonic()) > 0:
        try:
            _probe(bootstrap, timedelta(seconds=min(left, 5.0)))
        except (KafkaError, OSError, TryAgain) as error:
            last = str(error)
        else:
            return
        time.sleep(min(0.2, max(0.0, deadline - time.monotonic())))
    raise TryAgain(f"waited {limit.total_seconds():g} s for kafka at {bootstrap}: {last}")


def _probe(bootstrap: str, limit: timedelta) -> None:
    client = connected(
        KafkaAdminClient,
        bootstrap,
        limit=limit,
        client_id="tidemill-probe",
        request_timeout_ms=_milliseconds(limit),
    )
    try:
        cluster = client.describe_cluster()
    finally:
        client.close()
    if not cluster["brokers"] or cluster["controller_id"] < 0:
        raise TryAgain(f"the cluster at {bootstrap} has no controller yet")


def _milliseconds(limit: timedelta) -> int:
    return max(1, round(limit.total_seconds() * 1000))
