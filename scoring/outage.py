"""A store that is away, as a loop tells it: once when it goes, once when it is back, however often is tried between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class Outage:
    """What one loop knows of what it depends on. Not for several threads."""

    def __init__(self, log: logging.Logger, who: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`who` begins each line, such as `the scheduler`; `clock` counts seconds."""
        self._log = log
        self._who = who
        self._clock = clock
        self._since: float | None = None

    def away(self, error: Exception) -> None:
        """An attempt has failed as something is away."""
        if self._since is None:
            self._since = self._clock()
            self._log.warning("%s waits: %s", self._who, error)

    def over(self) -> None:
        """An attempt has not failed."""
        if self._since is not None:
            self._log.warning("%s goes on after %.0f s", self._who, self._clock() - self._since)
            self._since = None
