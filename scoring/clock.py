"""The time of day."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """`scoring.ports.Clock` of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)
