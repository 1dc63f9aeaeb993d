"""`tidemill serve`: the service's process."""

from __future__ import annotations

import os
import sys

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="Port to listen on.")
@click.option("--bind", metavar="ADDRESS", help="Address to listen on; default 127.0.0.1 (TIDEMILL_BIND).")
def serve(port: int, bind: str | None) -> None:
    """Run the service: the REST API, the scheduler and the job runner, until SIGTERM or Ctrl-C."""
    import structlog

    from infra.api.server import run
    from infra.settings import Settings
    from infra.wiring.service import service_parts

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = Settings()
    host = bind or settings.bind
    print(f"serving on http://{host}:{port} (pid {os.getpid()})", file=sys.stderr, flush=True)
    run(service_parts(settings), host=host, port=port)
