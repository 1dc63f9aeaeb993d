"""`tidemill lake` on a real lake and a real database: what a schedule waits for stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.cli.main import root
from scoring.job import JobInput, JobInputType
from storage.lake.upkeep import tables_in
from storage.postgres.engine import create_engine
from storage.postgres.migrate import upgrade
from storage.postgres.schedule_store import PostgresScheduleStore
from tests.contract.lake import append, window_rows
from tests.contract.values import a_schedule
from tests.unit.storage.lake.test_vacuum import HOUR, age

pytestmark = pytest.mark.stack
Tidemill = Callable[..., Any]


@pytest.fixture
def tidemill(tmp_path: Path, database_url: str) -> Tidemill:
    environment = {
        "TIDEMILL_HOME": str(tmp_path),
        "TIDEMILL_POSTGRES_URL": database_url,
        "TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "TIDEMILL_API_URL": "http://127.0.0.1:1",
        "TIDEMILL_DASHBOARD_URL": "http://127.0.0.1:1",
    }
    for number in range(9):
        append(tmp_path / "lake" / "windows", window_rows(2, first=10 * number))

    def run(*arguments: str) -> Any:
        ended = CliRunner().invoke(root, ["lake", *arguments, "-o", "json"], env=environment)
        if ended.exit_code:
            raise ended.exception or AssertionError(ended.output)
        return json.loads(ended.stdout)

    return run


def test_join_and_vacuum(tidemill: Tidemill, tmp_path: Path, database_url: str) -> None:
    engine = create_engine(database_url)
    upgrade(engine)
    (before,) = tidemill("show")
    assert (before["table"], before["files"], before["small_files"], before["dead_files"]) == ("windows", 9, 9, 0)
    (done,) = tidemill("compact", "windows")
    assert (done["files_before"], done["files_after"]) == (9, 1)
    for folder in tables_in(tmp_path / "lake"):
        age(folder, 2 * HOUR)

    store = PostgresScheduleStore(engine)
    read = JobInput(type=JobInputType.TABLE, path="lake://windows", incremental=True, from_version=3)
    store.save(replace(a_schedule(), input=read, is_enabled=True))
    (kept,) = tidemill("vacuum", "--retention", "1h")
    assert (kept["needed_from"], kept["files"]) == (3, 0)
    store.save(replace(a_schedule(), input=read, is_enabled=False))
    (seen,) = tidemill("vacuum", "--retention", "1h", "--dry-run")
    (gone,) = tidemill("vacuum", "--retention", "1h")
    assert seen["files"] == gone["files"] == 9
    (after,) = tidemill("show")
    assert (after["files"], after["dead_files"]) == (1, 0)
    engine.dispose()


def test_what_is_refused(tidemill: Tidemill) -> None:
    with pytest.raises(Exception, match="there is no table nix in the lake; it has windows"):
        tidemill("compact", "nix")
    with pytest.raises((SystemExit, AssertionError)):
        tidemill("vacuum", "--retention", "1m")
