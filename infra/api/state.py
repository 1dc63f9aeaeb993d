"""Whether the service and what it stands on are well, and how far the stream is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from infra.api.parts import ServiceParts
from scoring.errors import TryAgain


def router(parts: ServiceParts, ended_loops: Callable[[], list[str]]) -> APIRouter:
    routes = APIRouter(tags=["state"])

    @routes.get("/healthz")
    def health(response: Response) -> dict[str, str]:
        """200 when everything that a job needs from the service is there, else 503; the words say what is not."""
        found = {"status": "ok", "database": "ok", "loops": "ok"}
        try:
            parts.ping()
        except TryAgain as error:
            found |= {"status": "degraded", "database": str(error)}
        ended = ended_loops()
        if ended:
            found |= {"status": "degraded", "loops": f"not running: {', '.join(ended)}"}
        if found["status"] != "ok":
            response.status_code = 503
        return found

    @routes.get("/stream")
    def stream() -> dict[str, Any]:
        """Per partition: position, end, lag, watermark and counters; all streams. A store that is away is said in
        `state`.
        """
        return parts.stream()

    return routes
