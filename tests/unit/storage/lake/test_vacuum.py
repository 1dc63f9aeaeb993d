from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from scoring.errors import InvalidInput, TryAgain
from storage.lake.changes import gained
from storage.lake.compaction import compact
from storage.lake.vacuum import ORPHAN_AGE, Vacuumed, checkpoint, condition, shorten_log, vacuum
from tests.contract.lake import append, window_rows

NOW = timedelta(0)
HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Versions 0 to 9 add a file each, 10 joins them, 11 and 12 add; all of it is two hours old."""
    for number in range(10):
        append(tmp_path / "windows", window_rows(3, first=10 * number))
    compact(tmp_path / "windows")
    for number in (90, 91):
        append(tmp_path / "windows", window_rows(1, first=10 * number))
    age(tmp_path / "windows", 2 * HOUR)
    return tmp_path / "windows"


def age(folder: Path, by: timedelta) -> None:
    then = time.time() - by.total_seconds()
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def rows(folder: Path, version: int | None = None) -> int:
    return int(DeltaTable(str(folder), version=version).to_pyarrow_table().num_rows)


def test_superseded_files_are_deleted_after_the_retention(folder: Path) -> None:
    assert vacuum(folder, retention=3 * HOUR, needed_from=None) == Vacuumed()
    seen = vacuum(folder, retention=HOUR, needed_from=None, dry_run=True)
    assert (seen.files, condition(folder).dead_files) == (10, 10)
    assert vacuum(folder, retention=HOUR, needed_from=None).files == 10
    assert (rows(folder), condition(folder).dead_files) == (32, 0)


@pytest.mark.parametrize("needed", [0, 4, 9])
def test_what_a_job_or_schedule_needs_stays(folder: Path, needed: int) -> None:
    checkpoint(folder, after=0)
    age(folder, 2 * HOUR)
    wanted, whole = gained(folder, needed, 12), rows(folder, needed)
    vacuum(folder, retention=HOUR, needed_from=needed)
    assert gained(folder, needed, 12) == wanted
    assert all(file.path.exists() for file in wanted)
    assert rows(folder, needed) == whole


def test_what_is_not_needed_any_more_goes(folder: Path) -> None:
    checkpoint(folder, after=0)
    age(folder, 2 * HOUR)
    assert vacuum(folder, retention=HOUR, needed_from=10).files == 10
    assert len(gained(folder, 10, 12)) == 2
    append(folder, window_rows(1, first=990))
    done = vacuum(folder, retention=HOUR, needed_from=12)
    assert done.log_entries == 12
    assert len(gained(folder, 12, 13)) == 1
    with pytest.raises(InvalidInput, match="no longer in its log"):
        gained(folder, 5, 13)
    assert rows(folder) == 33
    append(folder, window_rows(1, first=991))
    assert rows(folder) == 34


def test_the_log_stays_whole_without_a_checkpoint_or_with_a_young_or_broken_one(folder: Path) -> None:
    assert vacuum(folder, retention=HOUR, needed_from=None).log_entries == 0
    checkpoint(folder, after=0)
    assert vacuum(folder, retention=HOUR, needed_from=None).log_entries == 0
    age(folder, 2 * HOUR)
    (written,) = (folder / "_delta_log").glob("*.checkpoint.parquet")
    held = written.read_bytes()
    written.write_bytes(b"")
    age(folder, 2 * HOUR)
    with pytest.raises(TryAgain, match="cannot be read now"):
        vacuum(folder, retention=HOUR, needed_from=None)
    assert shorten_log(folder, retention=HOUR, needed_from=None) == 0
    assert len(list(folder.glob("_delta_log/*.json"))) == 13
    written.write_bytes(held)
    age(folder, 2 * HOUR)
    assert vacuum(folder, retention=HOUR, needed_from=None).log_entries == 12


def test_files_that_no_commit_names_stay_long(folder: Path) -> None:
    orphan = folder / "date=2026-03-01" / "part-nobody.parquet"
    orphan.write_bytes(b"half")
    age(folder, ORPHAN_AGE - HOUR)
    vacuum(folder, retention=HOUR, needed_from=None)
    assert orphan.exists(), "its writer may be about to commit"
    age(folder, ORPHAN_AGE + HOUR)
    vacuum(folder, retention=HOUR, needed_from=None)
    assert not orphan.exists()
    assert rows(folder) == 32


def test_a_checkpoint_is_written_when_it_is_due(folder: Path) -> None:
    assert condition(folder).checkpoint is None
    assert not checkpoint(folder, after=20)
    assert checkpoint(folder, after=5)
    assert condition(folder).checkpoint == 12
    assert not checkpoint(folder, after=0)
