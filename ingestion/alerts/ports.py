"""What the evaluation of alerts needs from the outside, and the names of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import pyarrow as pa

Row = dict[str, Any]
"""A row of ALERT_SCHEMA."""

AlertStep = Literal[
    "begun", "judged", "state on disk", "part on disk", "entry written", "committed", "sent", "published"
]
"""Where the work can be cut off, and what is done by then."""

ALERT_STEPS: tuple[AlertStep, ...] = get_args(AlertStep)


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """rows: that it gained; committed_us: wall clock, microseconds since 1970, 0 where it gained none."""

    rows: pa.Table
    committed_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What a commit keeps of a stream.

    position   the next version of its table to be judged
    number     of the next row of its alerts
    published  numbers below it are in the topic
    """

    position: int
    state: bytes
    number: int = 0
    published: int = 0


class Versions(Protocol):
    """The versions of one table."""

    def newest(self) -> int | None:
        """None where there is no table."""

    def read(self, version: int, columns: Sequence[str]) -> Version | None:
        """What a version gained; None where it is not there. Raises InvalidInput where its rows are gone."""


class AlertStore(Protocol):
    """The table of alerts, as one stream writes it."""

    def restore(self) -> Kept | None:
        """The last commit; None before the first. What follows is committed on top of exactly this."""

    def commit(self, kept: Kept, rows: Sequence[Row]) -> None:
        """All or nothing. Raises Fenced where another has committed since."""

    def rows(self, first: int, limit: int) -> list[Row]:
        """Committed rows from the number `first` on, in order."""


class AlertTopic(Protocol):
    """Where alerts are published."""

    def published(self, stream: str) -> int:
        """The number after the greatest one of the stream that the topic holds; 0 where it holds none."""

    def publish(self, rows: Sequence[Row]) -> None:
        """Return once the broker has them, in their order. Raises TryAgain."""

    def close(self) -> None:
        """Let go of the broker; what was published stays."""
