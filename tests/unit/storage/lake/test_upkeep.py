from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from scoring.errors import TryAgain
from storage.lake.upkeep import LakeUpkeep, tables_in
from storage.lake.vacuum import condition
from tests.contract.lake import append, window_rows
from tests.unit.storage.lake.test_vacuum import HOUR, age


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        for number in range(9):
            append(tmp_path / name, window_rows(1, first=number))
    (tmp_path / "no-table").mkdir()
    return tmp_path


def test_a_round_joins_and_deletes(lake: Path) -> None:
    upkeep = LakeUpkeep(lake, lambda: {"b": 3}, every=timedelta(seconds=1), retention=HOUR)
    stop = threading.Event()
    upkeep.round(stop, with_vacuum=True)
    assert [(condition(folder).files, condition(folder).dead_files) for folder in tables_in(lake)] == [(1, 9)] * 2
    for folder in tables_in(lake):
        age(folder, 2 * HOUR)
    upkeep.round(stop, with_vacuum=False)
    assert [condition(folder).dead_files for folder in tables_in(lake)] == [9, 9]
    upkeep.round(stop, with_vacuum=True)
    assert [condition(folder).dead_files for folder in tables_in(lake)] == [0, 9], "b is needed from version 3 on"


def test_where_it_cannot_be_told_who_needs_what_nothing_is_deleted(lake: Path) -> None:
    def away() -> dict[str, int]:
        raise TryAgain("no database")

    upkeep = LakeUpkeep(lake, away, every=timedelta(seconds=1), retention=HOUR)
    for _ in range(2):
        upkeep.round(threading.Event(), with_vacuum=True)
        for folder in tables_in(lake):
            age(folder, 2 * HOUR)
    assert [(condition(folder).files, condition(folder).dead_files) for folder in tables_in(lake)] == [(1, 9)] * 2


def test_a_broken_table_does_not_stop_the_others(lake: Path) -> None:
    (lake / "a" / "_delta_log" / f"{0:020}.json").write_text("{")
    LakeUpkeep(lake, dict, every=timedelta(seconds=1), retention=HOUR).round(threading.Event(), with_vacuum=True)
    assert condition(lake / "b").files == 1


def test_it_ends_when_it_is_told(lake: Path) -> None:
    stop = threading.Event()
    upkeep = LakeUpkeep(lake, dict, every=timedelta(milliseconds=1), retention=HOUR)
    thread = threading.Thread(target=upkeep.serve, args=(stop,))
    thread.start()
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert DeltaTable(str(lake / "a")).to_pyarrow_table().num_rows == 9
