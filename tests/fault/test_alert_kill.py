"""The evaluation of alerts killed with -9 at every named step: rows and messages are those of a calm run, each once.

`TIDEMILL_ALERT_KILLS` sets how often each step is the last of a life, in an order of its own each time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from ingestion.alerts.ports import ALERT_STEPS
from ingestion.kafka.topics import ALERTS_CONFIG, TopicAdmin, TopicSpec
from storage.lake.window_sink import LakeWindowSink
from tests.contract.test_alert_ports import published_alerts
from tests.contract.test_window_sink import commit_of, window_row

pytestmark = [pytest.mark.fault, pytest.mark.stack]

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("TIDEMILL_ALERT_KILLS", "1"))
VERSIONS = 48

LIFE = textwrap.dedent(
    """
    import os, signal, sys
    from infra.alert_rules import AlertRules
    from infra.wiring.alerts import alert_runner
    from infra.wiring.broker import topic_ends
    from infra.settings import Settings
    from ingestion.alerts import runner

    last, often = sys.argv[1], int(sys.argv[2])
    runner.MOST_VERSIONS = 3  # so that there are many commits
    left = often

    def step(name):
        global left
        left -= name == last
        if name == last and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings()
    (stored,) = AlertRules(settings).all()
    mine = alert_runner(settings, stored.stream, topic_ends(settings), step=step)
    while mine.round():
        pass
    """
)

RULES = """
alerts:
  - {name: hot, threshold: {column: mean, above: 9}, for: 2}
  - {name: odd, rate: {column: mean, change: 11, within: 3m}}
  - {name: mute, silence: {after: 3m}}
"""


class Home:
    """A lake of windows, and a topic for their alerts."""

    def __init__(self, home: Path, bootstrap: str) -> None:
        self.home, self.bootstrap, self.topic = home, bootstrap, f"alerts-{uuid4().hex[:8]}"
        home.mkdir()
        (home / "alerts.yml").write_text(RULES)
        with TopicAdmin(bootstrap) as admin:
            admin.ensure([TopicSpec(name=self.topic, partitions=1, config=ALERTS_CONFIG)])
        # rules judge what comes after they were first seen: before there is a table, that is all of it
        assert self.life().returncode == 0
        sink = LakeWindowSink(lake_root=home / "lake", state_root=home / "state", stream="windows", topic="readings")
        sink.restore(0)
        for number in range(VERSIONS):
            sink.commit(commit_of({0: number + 1}, [windows_row(number, sensor) for sensor in range(3)]))

    def life(self, last: str = "none", often: int = 1) -> subprocess.CompletedProcess[bytes]:
        told = {
            "TIDEMILL_HOME": str(self.home),
            "TIDEMILL_KAFKA_BOOTSTRAP": self.bootstrap,
            "TIDEMILL_ALERTS_TOPIC": self.topic,
        }
        return subprocess.run(
            [sys.executable, "-c", LIFE, last, str(often)],
            cwd=ROOT,
            env=os.environ | told,
            capture_output=True,
            timeout=180,
        )

    def rows(self) -> list[dict[str, Any]]:
        held: pa.Table = DeltaTable(str(self.home / "lake" / "alerts")).to_pyarrow_table()
        return held.drop_columns(["committed_at"]).sort_by("number").to_pylist()

    def published(self) -> list[tuple[str, str]]:
        return [(headers["id"], headers["change"]) for _, _, headers in published_alerts(self.bootstrap, self.topic)]


def windows_row(number: int, sensor: int) -> dict[str, Any]:
    # one sensor now and then hot, one with leaps, one with gaps
    mean = [12.0 * (number % 7 > 4), 6.0 * (number % 5), 1.0][sensor]
    skipped = 5 * (number // 8) if sensor == 2 else 0
    return window_row(number + skipped) | {"sensor_id": f"m0/{sensor}", "mean": mean}


@pytest.fixture(scope="module")
def calm(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("calm") / "home", kafka_bootstrap)
    ended = home.life()
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    return home


def test_a_calm_run_tells_of_all_rules(calm: Home) -> None:
    rows = calm.rows()
    assert {row["rule"] for row in rows} == {"hot", "odd", "mute"}
    assert [row["number"] for row in rows] == list(range(len(rows)))
    assert len(rows) >= 12
    assert calm.published() == [(row["id"], str(row["change"])) for row in rows]
    assert len(set(calm.published())) == len(rows)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(KILLS))
def test_no_kill_loses_or_doubles_an_alert(seed: int, calm: Home, tmp_path: Path, kafka_bootstrap: str) -> None:
    home = Home(tmp_path / "home", kafka_bootstrap)
    random = Random(seed)
    for step in random.sample(ALERT_STEPS, len(ALERT_STEPS)):
        # a life that is killed at its first commit each time would come no further
        ended = home.life(step, 1 if step in ("begun", "published") else random.choice([2, 2, 3]))
        assert ended.returncode == -signal.SIGKILL, f"never came to {step!r}: {ended.stderr.decode()[-3000:]}"
    ended = home.life()
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    assert home.rows() == calm.rows()
    assert home.published() == calm.published()
