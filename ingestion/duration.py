"""Durations as people write them: `500ms`, `90s`, `15m`, `1h30m`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def duration(text: str) -> timedelta:
    """A positive duration: numbers with units ms, s, m, h, d, w. Raises ValueError with what is allowed."""
    found = duration_or_zero(text)
    if found <= timedelta(0):
        raise ValueError(f"{text!r} is not longer than nothing")
    return found


def duration_or_zero(text: str) -> timedelta:
    """As `duration`, for what may be nothing: `0s`."""
    compact = text.strip().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"{text!r} is no duration; write e.g. 90s, 15m, 6h, 1h30m")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f"{text!r} is longer than any duration; write e.g. 90s, 15m, 6h, 1h30m") from None
