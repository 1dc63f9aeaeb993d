"""Waiting in tests: by looking again and again, with a limit that also a slow and busy machine keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    what: str, look: Callable[[], T], wanted: Callable[[T], object] = bool, *, limit: float = 90, pause: float = 0.1
) -> T:
    """The first look that is as wanted. Fails with `what` and the last look after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, f"not within {limit:.0f} s: {what}; the last look: {seen!r}"
        time.sleep(pause)
    return seen
