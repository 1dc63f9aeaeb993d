"""`tidemill dashboard run`: the Streamlit server, as this very process."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import click

from infra.settings import Settings


@click.group()
def dashboard() -> None:
    """Run the Streamlit dashboard."""


@dashboard.command(epilog="Example: tidemill dashboard run --port 8501")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port to listen on.")
def run(port: int) -> None:
    """Serve the pages until SIGTERM or Ctrl-C. Ready when GET /_stcore/health answers 200."""
    settings = Settings()
    # Streamlit takes this process over: signals and the exit code need nobody in between
    os.environ["TIDEMILL_HOME"] = str(settings.paths.root)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *arguments(settings.bind, port)])  # noqa: S606


def arguments(bind: str, port: int) -> list[str]:
    """Streamlit's command line: no telemetry, no watching of files, no traceback and no developer's tools on a page."""
    options = {
        "server.address": bind,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.enableXsrfProtection": "true",
        "server.enableAgentApi": "false",
        "server.maxUploadSize": "1",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "client.showSidebarNavigation": "false",
        "runner.magicEnabled": "false",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return ["-m", "streamlit", "run", str(script()), *flags]


def script() -> Path:
    """The pages' entry file. It is found, not imported: `infra` does not know the dashboard."""
    package = importlib.util.find_spec("dashboard")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("app.py")
