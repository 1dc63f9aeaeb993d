"""Jobs: what became of an invocation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from infra.client.connection import Connection, Document, Documents, segment
from infra.client.uploads import Uploads
from scoring.errors import TryAgain
from storage.archive import unpack

ENDED = frozenset({"Completed", "Failed", "Canceled"})

_POLL_FIRST = 0.2
_POLL_LAST = 2.0
_AWAY_SECONDS = 60.0


class JobsClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uploads = Uploads(connection)

    def create(self, document: Mapping[str, Any], *, request_key: str | None = None) -> Document:
        """Run a pipeline or a command. The same `request_key` again is the same job; by default each call makes one."""
        headers = {"repeatability_request-id": request_key or str(uuid4())}
        return self._connection.one("POST", "/jobs", body=self._uploads.of_job(document), headers=headers)

    def validate(self, document: Mapping[str, Any]) -> Document:
        """Raises InvalidInput and NotFound as `create` would; nothing is run."""
        return self._connection.one("POST", "/jobs/validate", body=self._uploads.of_job(document))

    def show(self, name: str) -> Document:
        return self._connection.one("GET", f"/jobs/{segment(name)}")

    def list(
        self,
        *,
        schedule_name: str | None = None,
        parent_job_name: str | None = None,
        status: str | None = None,
        archived_only: bool = False,
        include_archived: bool = False,
        max_results: int | None = None,
    ) -> Documents:
        """Newest first; archived ones only where asked for. With `parent_job_name` the steps of that job."""
        parameters = {
            "schedule_name": schedule_name,
            "parent_job_name": parent_job_name,
            "status": status,
            "archived_only": archived_only or None,
            "include_archived": include_archived or None,
            "max_results": max_results,
        }
        return self._connection.many("/jobs", parameters)

    def update(self, name: str, changes: Mapping[str, Any]) -> Document:
        """Change display_name, description, tags or properties; what is not named stays."""
        return self._connection.one("PATCH", f"/jobs/{segment(name)}", body=changes)

    def archive(self, name: str) -> Document:
        return self._connection.one("POST", f"/jobs/{segment(name)}/archive")

    def restore(self, name: str) -> Document:
        return self._connection.one("POST", f"/jobs/{segment(name)}/restore")

    def resume(self, name: str) -> Document:
        """A Failed or Canceled job goes on with what is left. Raises Conflict for a Completed one."""
        return self._connection.one("POST", f"/jobs/{segment(name)}/resume")

    def retry_failed(self, name: str) -> Document:
        """Score an ended job's mini-batches with failed items again. Raises Conflict where nothing failed."""
        return self._connection.one("POST", f"/jobs/{segment(name)}/retry-failed", repeat=False)

    def cancel(self, name: str) -> Document:
        """Ask for its end; it is Canceled soon after."""
        return self._connection.one("POST", f"/jobs/{segment(name)}/cancel")

    def mini_batches(self, name: str, *, max_results: int | None = None, offset: int = 0) -> Documents:
        """In the order of the manifest, with what came of each."""
        parameters = {"max_results": max_results, "offset": offset}
        return self._connection.many(f"/jobs/{segment(name)}/mini-batches", parameters)

    def logs(self, name: str) -> Documents:
        """The files of the log tree: path, size_bytes."""
        return self._connection.many(f"/jobs/{segment(name)}/logs")

    def log_bytes(self, name: str, path: str, *, offset: int = 0) -> bytes:
        """The next bytes of a log file, four MiB at most; empty at its end. Raises NotFound where there is none."""
        with self._connection.received(f"/jobs/{segment(name)}/logs/{quote(path)}?offset={offset}") as stream:
            return stream.read()

    def log_lines(self, name: str, *, follow: bool = False) -> Iterator[Document]:
        """All log files as one, in the order of time: at, source, text. With `follow` until the job has ended."""
        read_to: dict[str, int] = {}
        pause = _POLL_FIRST
        while True:
            page = self._connection.one("POST", f"/jobs/{segment(name)}/logs", body={"read_to": read_to})
            yield from page["lines"]
            read_to = page["read_to"]
            if page["more"]:
                continue
            if page["ended"] or not follow:
                return
            pause = _POLL_FIRST if page["lines"] else min(pause * 1.5, _POLL_LAST)
            time.sleep(pause)

    def download_output(self, name: str, folder: str | Path, *, output_name: str = "score") -> Path:
        """Write the files of an output below `folder`. Raises NotFound, Conflict for a job that has not ended."""
        return self._unpacked(f"/jobs/{segment(name)}/outputs/{segment(output_name)}/content", folder)

    def download_artifacts(self, name: str, folder: str | Path) -> Path:
        """Write the log tree below `folder`."""
        return self._unpacked(f"/jobs/{segment(name)}/artifacts/content", folder)

    def _unpacked(self, path: str, folder: str | Path) -> Path:
        target = Path(folder).expanduser().absolute()
        with self._connection.received(path) as stream:
            target.mkdir(parents=True, exist_ok=True)
            unpack(stream, target)
        return target

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
