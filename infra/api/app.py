"""The application: routers, error answers, request ids and the loops' life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from infra.api import (
    assets,
    azure_management,
    computes,
    datastores,
    deployments,
    endpoints,
    invocations,
    job_changes,
    job_creation,
    job_files,
    jobs,
    schedules,
    state,
    tokens,
    uploads,
)
from infra.api.access import Access, Gate
from infra.api.background import Background
from infra.api.bodies import RequestIds
from infra.api.errors import add_handlers
from infra.api.openapi import document_bodies
from infra.api.parts import ServiceParts

LOOPS_END_SECONDS = 15.0
"""How long the runner and the scheduler may take to end; a job that was cut off is taken up again at the next start."""


def create_app(parts: ServiceParts, *, is_loopback: bool = True) -> FastAPI:
    """The service. `is_loopback` False where it listens for other machines, under names that are not known here."""
    background = Background(parts.loops, wake=lambda: parts.wake())

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        background.start()
        try:
            yield
        finally:
            background.stop(LOOPS_END_SECONDS)
            parts.close()

    app = FastAPI(
        title="tidemill",
        version=_version(),
        summary="Batch endpoints, their jobs and schedules, on this machine.",
        lifespan=life,
    )
    add_handlers(app)
    gate = Gate(parts.tokens)
    app.add_middleware(Access, gate=gate)
    app.add_middleware(RequestIds, is_loopback=is_loopback)
    app.include_router(state.router(parts, background.ended))
    for noun in (
        computes,
        datastores,
        uploads,
        endpoints,
        deployments,
        invocations,
        jobs,
        job_creation,
        job_changes,
        job_files,
        schedules,
    ):
        app.include_router(noun.router(parts))
    for router in assets.routers(parts):
        app.include_router(router)
    app.include_router(tokens.router(parts, gate))
    app.include_router(azure_management.router(parts))
    document_bodies(app)
    return app


def _version() -> str:
    try:
        return version("tidemill")
    except PackageNotFoundError:
        return "0"
