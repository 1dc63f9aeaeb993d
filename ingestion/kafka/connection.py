"""Clients of the broker of which nothing stays behind where they cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from kafka.net.compat import KafkaNetClient

Client = TypeVar("Client")


def connected(kind: Callable[..., Client], bootstrap: str, *, limit: timedelta, **config: Any) -> Client:
    """A client of kafka-python, of the brokers `host:port,…`. Raises what the library raises, where no broker
    answers within `limit`, too.

    The library starts a thread with its sockets before it looks for a broker, and leaves them behind where it finds
    none: who asks once a second would hold a thousand descriptors after minutes.
    """
    made: list[KafkaNetClient] = []

    def noted(**settings: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**settings))
        return made[-1]

    milliseconds = max(1, round(limit.total_seconds() * 1000))
    try:
        return kind(
            bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=milliseconds, kafka_client=noted, **config
        )
    except BaseException:
        for client in made:
            client.close()
        raise
