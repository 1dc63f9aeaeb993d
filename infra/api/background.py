"""The loops beside the requests: each in a thread, started again with a growing pause when it fails, ended together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from infra.api.parts import Loop

_log = structlog.get_logger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)


class Background:
    """The threads of a service's loops."""

    def __init__(self, loops: Sequence[Loop], *, wake: Callable[[], None] = lambda: None) -> None:
        """`wake` ends the waits of loops that wait for something other than their end."""
        self._loops = loops
        self._wake = wake
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for loop in self._loops:
            thread = threading.Thread(target=self._run, args=(loop,), name=loop.name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, limit_seconds: float) -> list[str]:
        """Names of the loops that have not ended within the limit; they end with the process."""
        self._stop.set()
        self._wake()
        for thread in self._threads:
            thread.join(limit_seconds / max(len(self._threads), 1))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        for name in late:
            _log.warning("a loop did not end in time", loop=name, limit_seconds=limit_seconds)
        return late

    def ended(self) -> list[str]:
        """Names of loops that are not running although the service is."""
        return [thread.name for thread in self._threads if not thread.is_alive()]

    def _run(self, loop: Loop) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                loop.run(self._stop)
            except Exception:
                # the loop's own errors are handled in it; this is what nobody expected
                _log.exception("a loop failed and is started again", loop=loop.name)
                self._stop.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
