"""The service's process: uvicorn around the application, ended by SIGTERM and SIGINT."""

from __future__ import annotations

import ipaddress
import signal
from types import FrameType

import uvicorn

from infra.api.app import create_app
from infra.api.parts import ServiceParts

_REQUESTS_END_SECONDS = 5


def run(parts: ServiceParts, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT: requests end, then the loops. Raises SystemExit(1) where the port is taken."""
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
    server = uvicorn.Server(config)

    def end(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises the signal again once it has ended, for the handler of before: to be asked is no failure
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
