"""`tidemill alert` on a home without a stack: what it shows, filters and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli.main import root
from ingestion.alerts.ports import Kept
from storage.lake.alerts import LakeAlerts
from tests.contract.test_alert_ports import alert_row


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("home")
    mine = LakeAlerts(home / "lake", home / "stream-state", "windows")
    mine.restore()
    rows = [
        alert_row(0) | {"id": "aa11"},
        alert_row(1) | {"id": "aa11", "change": 1, "state": "resolved", "message": "over"},
        alert_row(2, machine="p2") | {"id": "aa22", "severity": "critical"},
    ]
    mine.commit(Kept(position=1, state=b"", number=3), rows)
    return home


def run(home: Path, *arguments: Any, code: int = 0) -> Result:
    found = CliRunner().invoke(root, ["--home", str(home), "alert", *map(str, arguments)])
    assert found.exit_code == code, found.output + str(found.exception)
    return found


def test_alerts_are_listed(home: Path) -> None:
    lines = run(home, "list").stdout.splitlines()
    assert lines[0].split()[:4] == ["id", "state", "severity", "rule"]
    assert [line.split()[:3] for line in lines[1:]] == [["aa22", "firing", "critical"], ["aa11", "resolved", "warning"]]
    assert lines[1].endswith("mean of p1/temp is 91.5, above 90")


def test_alerts_are_picked(home: Path) -> None:
    found = json.loads(run(home, "list", "--firing", "--machine", "p2", "-o", "json").stdout)
    assert [row["id"] for row in found] == ["aa22"]
    assert found[0]["ended_at"] is None
    assert found[0]["key"] == {"machine_id": "p2", "sensor_id": "p1/temp"}
    assert json.loads(run(home, "list", "--severity", "info", "-o", "json").stdout) == []
    assert json.loads(run(home, "list", "--until", "2026-03-01T13:00:00Z", "--query", "[].id").stdout) == ["aa11"]
    assert "the first 1 alerts are shown" in run(home, "list", "--limit", "1").stderr


def test_one_is_shown_with_all_its_rows(home: Path) -> None:
    shown = run(home, "show", "aa1").stdout
    assert "resolved  over" in shown
    assert [row["change"] for row in json.loads(run(home, "show", "aa11", "-o", "json").stdout)] == [0, 1]


def test_an_id_must_name_one(home: Path) -> None:
    refused = CliRunner().invoke(root, ["--home", str(home), "alert", "show", "aa"])
    assert "2 alerts begin with 'aa': aa11, aa22" in str(refused.exception)
    refused = CliRunner().invoke(root, ["--home", str(home), "alert", "show", "b"])
    assert "there is no alert 'b'" in str(refused.exception)


def test_a_home_without_alerts(tmp_path: Path) -> None:
    found = run(tmp_path, "list")
    assert (found.stdout, found.stderr) == ("", "no alerts\n")
    assert "no rules; write some into" in run(tmp_path, "rules").stderr


def test_rules_are_shown_in_words_and_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(
        "alerts:\n"
        "- {name: hot, threshold: {column: mean, above: 90, clear: 85}, for: 3, where: {sensor_id: '*/temp'}}\n"
        "- {name: off, threshold: {column: mean, outside: [1, 2]}}\n"
        "- {name: jump, rate: {column: mean, change: 10, within: 90s, direction: fall}, severity: info}\n"
        "- {name: mute, silence: {after: 1h30m}}\n"
    )
    rows = json.loads(run(tmp_path, "rules", "-o", "json").stdout)
    assert [row["condition"] for row in rows] == [
        "mean above 90 (ends at 85), for 3 windows in a row",
        "mean below 1 or above 2",
        "mean falls by more than 10 within 90 s",
        "nothing for 1 h 30 min",
    ]
    assert "sensor_id=*/temp" in run(tmp_path, "rules").stdout
    (tmp_path / "alerts.yml").write_text("alerts:\n- {name: hot}\n")
    refused = CliRunner().invoke(root, ["--home", str(tmp_path), "alert", "rules"])
    assert "alerts.yml:2: alerts[0]: found none of them" in str(refused.exception)
    other = tmp_path / "other.yml"
    other.write_text("alerts: []")
    assert run(tmp_path, "rules", "-f", other, "-o", "json").stdout.strip() == "[]"
