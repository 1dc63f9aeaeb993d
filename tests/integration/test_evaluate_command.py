"""`tidemill evaluate` on a real lake and a real Postgres, against the same comparison made here by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import plant

pytestmark = pytest.mark.stack


def tidemill(home: Path, database_url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", "--home", str(home), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "TIDEMILL_POSTGRES_URL": database_url},
    )


def test_precision_counts_what_the_plant_knows(tmp_path: Path, database_url: str) -> None:
    seeded = plant.seed(tmp_path / "lake", database_url)
    ended = tidemill(tmp_path, database_url, "evaluate", "--settling", "0", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)

    scored = seeded.predictions.sort_values("scored_at").drop_duplicates(["machine_id", "window_start"], keep="last")
    flagged = scored[scored["label"] == "anomaly"]
    length = flagged["window_end"] - flagged["window_start"]

    def is_faulty(row: object, of: str) -> bool:
        mine = seeded.faults[seeded.faults["machine_id"] == row.machine_id]  # type: ignore[attr-defined]
        starts, ends = mine["starts_at"].clip(lower=row.window_start), mine["ends_at"].clip(upper=row.window_end)  # type: ignore[attr-defined]
        return bool(((ends - starts) * 2 >= length.iloc[0]).any())

    right = sum(is_faulty(row, "flagged") for row in flagged.itertuples())
    assert figures["true_positives"] == right > 0
    assert figures["windows"] + figures["windows_settling"] == len(scored)
    assert figures["episodes"] == len(seeded.faults)
    assert {kind["kind"] for kind in figures["kinds"]} == set(seeded.faults["kind"])

    table = tidemill(tmp_path, database_url, "evaluate", "--settling", "0")
    assert f"({right} of " in table.stdout


def test_nothing_scored_is_said_in_one_line(tmp_path: Path, database_url: str) -> None:
    plant.seed(tmp_path / "lake", database_url, hours=2, with_predictions=False)
    ended = tidemill(tmp_path, database_url, "evaluate", "--endpoint", "no-such")
    assert ended.returncode == 3
    assert ended.stderr.strip() == (
        "error: there are no predictions of endpoint no-such in that time; `tidemill job list` shows what was scored"
    )
    assert ended.stdout == ""


def test_without_ground_truth_there_is_nothing_to_compare(tmp_path: Path, database_url: str) -> None:
    seeded = plant.seed(tmp_path / "lake", database_url, hours=2)
    assert len(seeded.predictions)
    ended = tidemill(tmp_path / "elsewhere", database_url, "evaluate")
    assert ended.returncode == 3
    assert "no ground truth" in ended.stderr
