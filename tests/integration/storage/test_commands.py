"""`tidemill migrate` and `tidemill load` as a person runs them: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack

PLANT = Path(__file__).parents[3] / "examples" / "plant"


def tidemill(home: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "TIDEMILL_HOME": str(home),
        "TIDEMILL_POSTGRES_URL": url,
        "TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "TIDEMILL_API_URL": "http://127.0.0.1:1",
        "TIDEMILL_DASHBOARD_URL": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "infra.cli.main", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_migrate_then_load_then_load_again(database_url: str, tmp_path: Path) -> None:
    first, second = (tidemill(tmp_path, database_url, "migrate") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "migrated from empty to revision" in first.stderr
    assert "nothing to do" in second.stderr
    loaded = tidemill(tmp_path, database_url, "load", str(PLANT), "-o", "json")
    assert loaded.returncode == 0, loaded.stderr
    assert [one["table"] for one in json.loads(loaded.stdout)] == ["sites", "machines", "sensors", "maintenance"]
    again = tidemill(tmp_path, database_url, "load", *(str(file) for file in PLANT.glob("*.csv")))
    assert again.returncode == 0, again.stderr
    assert [line.split()[0:3] for line in again.stdout.splitlines()[1:]] == [
        [name, "0", "0"] for name in ("sites", "machines", "sensors", "maintenance")
    ]


def test_a_bad_file_ends_with_2_and_every_reason(database_url: str, tmp_path: Path) -> None:
    tidemill(tmp_path, database_url, "migrate")
    (tmp_path / "sites.csv").write_text("site_id,name,latitude\na,A,north\nb,,1\n")
    refused = tidemill(tmp_path, database_url, "load", str(tmp_path / "sites.csv"))
    assert refused.returncode == 2
    assert refused.stdout == ""
    head, *reasons = refused.stderr.strip().splitlines()
    assert head == "error: nothing was loaded, 2 lines are wrong:"
    assert "sites.csv:2: latitude: 'north' found; a number is wanted" in reasons[0]
    assert "sites.csv:3: name: '' found; a value is needed" in reasons[1]


def test_a_database_that_is_away_is_waited_for_and_named(tmp_path: Path) -> None:
    url = "postgresql://tidemill:secret-word@127.0.0.1:1/none"
    away = tidemill(tmp_path, url, "migrate", "--wait", "1")
    assert away.returncode == 1
    assert away.stderr.startswith("error: waited 1 s: the database did not answer")
    assert "secret-word" not in away.stderr
    assert len(away.stderr.strip().splitlines()) == 1
