"""Times and durations as people type them: `2026-03-01T12:00:00Z`, `90s`, `1h30m`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ingestion.duration import duration


def moment_or_duration(text: str) -> datetime | timedelta:
    """A time with a zone, or a duration. Raises ValueError with what is allowed."""
    if text.strip() == "now":
        return datetime.now(UTC)
    try:
        return duration(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither a time nor a duration; write e.g. 2026-03-01T12:00:00Z, or 6h") from None
    if found.utcoffset() is None:
        raise ValueError(f"{text!r} has no time zone; add Z for UTC, or an offset like +02:00")
    return found.astimezone(UTC)


class Duration(click.ParamType):
    """A click option that takes a duration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType):
    """A click option that takes a time or a duration."""

    name = "time or duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        if isinstance(value, (datetime, timedelta)):
            return value
        try:
            return moment_or_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Speed(click.ParamType):
    """A click option that takes a factor of real time, or `max` (infinity)."""

    name = "factor or max"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if value == "max":
            return float("inf")
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if not found > 0:
            self.fail(f"{value!r} is no speed; write a number above 0 (1 is real time), or max", param, ctx)
        return found
