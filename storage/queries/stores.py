"""Where the read side reads: the lake's folder and Postgres' address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Stores:
    """Both stores. `postgres_url` is None where no stack is known; it holds the password, so it is never shown."""

    lake: Path
    postgres_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeRange:
    """Half-open [since, until) of event time; None is open."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.utcoffset() is None:
                raise ValueError(f"{name} needs a time zone; give UTC")


EVERYTHING = TimeRange()


def utc_now() -> datetime:
    return datetime.now(UTC)
