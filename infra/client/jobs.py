"""Jobs: what became of an invocation."""

from __future__ import annotations

import time
from collections.abc import Iterator

from infra.client.connection import Connection, Document, Documents, segment
from scoring.errors import TryAgain

ENDED = frozenset({"Completed", "Failed", "Canceled"})

_POLL_FIRST = 0.2
_POLL_LAST = 2.0
_AWAY_SECONDS = 60.0


class JobsClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def show(self, name: str) -> Document:
        return self._connection.one("GET", f"/jobs/{segment(name)}")

    def list(
        self, *, schedule_name: str | None = None, status: str | None = None, max_results: int | None = None
    ) -> Documents:
        """Newest first."""
        parameters = {"schedule_name": schedule_name, "status": status, "max_results": max_results}
        return self._connection.many("/jobs", parameters)

    def cancel(self, name: str) -> Document:
        """Ask for its end; it is Canceled soon after."""
        return self._connection.one("POST", f"/jobs/{segment(name)}/cancel")

    def mini_batches(self, name: str, *, max_results: int | None = None, offset: int = 0) -> Documents:
        """In the order of the manifest, with what came of each."""
        parameters = {"max_results": max_results, "offset": offset}
        return self._connection.many(f"/jobs/{segment(name)}/mini-batches", parameters)

    def stream(self, name: str, *, limit_seconds: float | None = None) -> Iterator[Document]:
        """The job each time that it has changed, its end last; a service that restarts meanwhile is waited for.

        Raises NotFound, and TryAgain when the service stays away for a minute or the limit is reached first.
        """
        started = last_answer = time.monotonic()
        seen: Document | None = None
        pause = _POLL_FIRST
        while True:
            try:
                job = self.show(name)
                last_answer = time.monotonic()
            except TryAgain:
                if time.monotonic() - last_answer > _AWAY_SECONDS:
                    raise
            else:
                if job != seen:
                    seen, pause = job, _POLL_FIRST
                    yield job
                if job["status"] in ENDED:
                    return
            if limit_seconds is not None and time.monotonic() - started > limit_seconds:
                status = "unknown" if seen is None else seen["status"]
                raise TryAgain(f"waited {limit_seconds:g} s for the end of job {name}, which is {status}")
            time.sleep(pause)
            pause = min(pause * 1.3, _POLL_LAST)
