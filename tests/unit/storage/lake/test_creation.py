"""Tables of the lake that several make at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from deltalake import DeltaTable

from ingestion.errors import TryAgain
from storage.lake.creation import opened
from storage.lake.tables import TABLES, WINDOWS, LakeTable
from storage.lake.window_sink import AppendTable

CREATORS = 8
ROUNDS = 5


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_creators_at_once_are_all_served_and_the_table_is_made_once(tmp_path: Path, table: LakeTable) -> None:
    for number in range(ROUNDS):
        root = tmp_path / str(number)
        together = Barrier(CREATORS)

        def create(_: int, root: Path = root, together: Barrier = together) -> DeltaTable:
            together.wait(60)
            return opened(root, table)

        with ThreadPoolExecutor(CREATORS) as pool:
            made = list(pool.map(create, range(CREATORS)))
        assert {one.version() for one in made} == {0}
        found = DeltaTable(str(table.path(root)))
        assert [entry["operation"] for entry in found.history()] == ["CREATE TABLE"]
        assert found.metadata().partition_columns == ["date"]


def test_sinks_at_once_are_all_served(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        together = Barrier(CREATORS)

        def create(_: int, root: Path = tmp_path / str(number), together: Barrier = together) -> int | None:
            together.wait(60)
            return AppendTable(root, WINDOWS).version_of("nobody")

        with ThreadPoolExecutor(CREATORS) as pool:
            assert list(pool.map(create, range(CREATORS))) == [None] * CREATORS


def test_an_open_table_keeps_its_rows_and_settings(tmp_path: Path) -> None:
    first = opened(tmp_path, WINDOWS, configuration={"delta.checkpointInterval": "7"})
    again = opened(tmp_path, WINDOWS)
    assert again.metadata().configuration == first.metadata().configuration == {"delta.checkpointInterval": "7"}


def test_a_lake_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(TryAgain, match=r"table windows in .*lake/windows cannot be opened"):
        AppendTable(tmp_path / "lake", WINDOWS)
