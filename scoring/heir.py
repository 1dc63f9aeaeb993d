"""The loop that sees to it that jobs of a killed service need not wait for the end of its leases."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from scoring.errors import TryAgain
from scoring.ports import JobKeeper

_log = logging.getLogger(__name__)


class Heir:
    """Ends leases whose owner is gone for certain; the next claim raises the epoch, which fences what is on its way.

    is_gone      of a `lease_owner`; True only where it is certain
    on_released  told when there is something to claim
    """

    def __init__(self, keeper: JobKeeper, is_gone: Callable[[str], bool], *, on_released: Callable[[], None]) -> None:
        self._keeper = keeper
        self._is_gone = is_gone
        self._on_released = on_released

    def look(self) -> None:
        """Once. Raises TryAgain while the store is away."""
        released = self._keeper.release(self._is_gone)
        if released:
            _log.warning("taken over from a process that is gone: %s", ", ".join(released))
            self._on_released()

    def serve(self, stop: threading.Event, *, poll: float = 3.0) -> None:
        """Look now and then until `stop` is set."""
        while not stop.is_set():
            try:
                self.look()
            except TryAgain as away:
                _log.warning("leases of the dead wait: %s", away)
            except Exception:
                _log.exception("looking for leases of the dead failed; the next look comes")
            stop.wait(poll)
