"""Streams come and go in a running stack: created, killed, wrong, reset and deleted, and no other part is restarted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.devstack.control import down as stop_stack
from infra.devstack.postgres import PostgresServer
from infra.home import Home
from infra.settings import Settings
from infra.stream_summary import summaries
from infra.wiring.broker import topic_ends
from tests.integration.devstack.test_stack import pids, status, tidemill, wait_for

pytestmark = pytest.mark.stack
EXAMPLES = Path(__file__).parents[3] / "examples"
OTHERS = ("supervisor", "postgres", "kafka", "stream")


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tidemill-streams-"))
    path.chmod(0o755)
    yield path
    stop_stack(Home(path))
    PostgresServer(path, port=0).delete()
    shutil.rmtree(path, ignore_errors=True)


def done(home: Path, *arguments: str) -> str:
    ended = tidemill(home, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def listed(home: Path) -> dict[str, dict[str, Any]]:
    """What `stream list` prints, without the seconds that starting an interpreter costs."""
    settings = Settings(home=home)
    with topic_ends(settings) as ends:
        return {str(row["name"]): row for row in summaries(settings, ends)}


def part(home: Path, name: str) -> dict[str, Any] | None:
    return next((one for one in status(home)["parts"] if one["name"] == name), None)


@pytest.mark.timeout(1200)
def test_streams_come_and_go_while_the_others_run_on(home: Path) -> None:
    done(home, "up", "--only", "postgres,kafka,stream")
    others = {name: pids(home)[name] for name in OTHERS}
    done(home, "load", str(EXAMPLES / "plant"))
    # one is put there by hand, one is wrong
    (home / "streams").mkdir()
    shutil.copy(EXAMPLES / "streams/vibration_trend.yml", home / "streams")
    (home / "streams" / "wrong.yml").write_text("name: wrong\n")
    done(home, "stream", "create", "-f", str(EXAMPLES / "streams/bearing_margin.yml"), "--wait", "200")
    done(home, "simulate", "--start", "1h", "--until", "1h", "--speed", "max", "--interval", "10", "--machines", "4")
    wait_for("rows of both", lambda: all(listed(home)[name]["rows"] for name in ("bearing_margin", "vibration_trend")))
    assert listed(home)["bearing_margin"]["state"] == "ready"
    told = json.loads(done(home, "sql", "select count(distinct site) as sites from lake.bearing_margin", "-o", "json"))
    assert told[0]["sites"] >= 1

    killed = pids(home)["stream-vibration_trend"]
    os.kill(killed, signal.SIGKILL)
    wait_for(
        "another worker of the killed stream",
        lambda: (
            (part(home, "stream-vibration_trend") or {}).get("ready", False)
            and pids(home)["stream-vibration_trend"] != killed
        ),
    )
    wait_for("the wrong one to fail", lambda: (part(home, "stream-wrong") or {}).get("restarts", 0) > 0)
    assert status(home)["ready"], "a definition that is wrong keeps the stack from nothing"
    assert "window: found nothing" in listed(home)["wrong"]["problem"]
    (home / "streams" / "wrong.yml").unlink()

    done(home, "stream", "reset", "bearing_margin", "--yes", "--wait", "200")
    wait_for("rows of the stream that began afresh", lambda: bool(listed(home)["bearing_margin"]["rows"]))
    done(home, "stream", "delete", "vibration_trend", "--yes", "--wait", "200")
    assert part(home, "stream-vibration_trend") is None
    assert (home / "lake" / "vibration_trend").is_dir()
    wait_for("the wrong one to be gone", lambda: part(home, "stream-wrong") is None)
    assert {name: pids(home)[name] for name in OTHERS} == others
