"""The service's process: uvicorn around the application, ended by SIGTERM and SIGINT."""

from __future__ import annotations

import ipaddress

import uvicorn

from infra.api.app import create_app
from infra.api.parts import ServiceParts

_REQUESTS_END_SECONDS = 5


def run(parts: ServiceParts, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT: requests end, then the loops. Raises OSError where the port is taken."""
    app = create_app(parts, is_loopback=_is_loopback(host))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_REQUESTS_END_SECONDS,
        lifespan="on",
    )
    uvicorn.Server(config).run()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
