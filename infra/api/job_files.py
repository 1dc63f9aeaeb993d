"""What a job has written: its logs, file by file and as one, and its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from infra.api.errors import answers
from infra.api.jobs import job_named
from infra.api.parts import ServiceParts
from scoring.errors import Conflict, NotFound
from scoring.specs.shown import Shown
from storage.archive import packed
from storage.content import Found
from storage.job_files import JobFiles
from storage.merged_log import LogLine, merged_log

_PIECE = 4 << 20


class LogPosition(BaseModel):
    """`read_to` of the answer before: for each file up to which byte it has been read; empty for the beginning."""

    read_to: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    def files_of(name: str) -> JobFiles:
        return JobFiles.of(job_named(parts, name), parts.jobs_folder)

    @routes.get("/jobs/{name}/logs", responses=answers(404, 503))
    def list_logs(name: str) -> list[Shown]:
        """The files of the log tree, with their sizes."""
        return [{"path": file.name, "size_bytes": file.source.stat().st_size} for file in files_of(name).logs()]

    @routes.post("/jobs/{name}/logs", responses=answers(400, 404, 503))
    def read_logs(name: str, position: LogPosition) -> Shown:
        """The next lines of all log files as one, in the order of time; give `read_to` back to go on after them."""
        job = job_named(parts, name)
        page = merged_log(files_of(name).folder, position.read_to, whole=job.status.is_terminal)
        return {
            "lines": [_line(line) for line in page.lines],
            "read_to": dict(page.read_to),
            "more": page.more,
            "ended": job.status.is_terminal,
        }

    @routes.get("/jobs/{name}/logs/{path:path}", responses=answers(404, 503))
    def read_log(name: str, path: str, offset: Annotated[int, Query(ge=0)] = 0) -> Response:
        """A file's bytes from `offset`, four MiB at most; an empty answer is its end for now."""
        found = next((file for file in files_of(name).logs() if file.name == path), None)
        if found is None:
            raise NotFound(f"job {name} has no log {path}; GET /jobs/{name}/logs lists them")
        with found.source.open("rb") as file:
            file.seek(offset)
            return Response(file.read(_PIECE), media_type="application/octet-stream")

    @routes.get("/jobs/{name}/outputs/{output}/content", responses=answers(404, 409, 503))
    def download_output(name: str, output: str) -> StreamingResponse:
        """A tar of the files of an output, once the job has ended."""
        files = files_of(name)
        if output not in files.places:
            has = ", ".join(sorted(files.places)) or "none"
            raise NotFound(f"job {name} has no output named {output}; it has {has}")
        return _tar(parts, name, files.output(output))

    @routes.get("/jobs/{name}/artifacts/content", responses=answers(404, 409, 503))
    def download_artifacts(name: str) -> StreamingResponse:
        """A tar of the log tree, once the job has ended."""
        return _tar(parts, name, files_of(name).logs())

    return routes


def _line(line: LogLine) -> Shown:
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, "source": line.source, "text": line.text}


def _tar(parts: ServiceParts, name: str, found: Sequence[Found]) -> StreamingResponse:
    job = job_named(parts, name)
    if not job.status.is_terminal:
        raise Conflict(f"job {name} is {job.status}; its files can be downloaded when it has ended")
    return StreamingResponse(packed(found, "job"), media_type="application/x-tar")
