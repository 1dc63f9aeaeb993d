from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.errors import TryAgain
from storage.lake.tables import WINDOWS
from storage.lake.torn_checkpoints import remove_torn_checkpoints
from storage.lake.vacuum import checkpoint
from storage.lake.window_sink import AppendTable
from tests.contract.lake import append, window_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        append(tmp_path / "windows", window_rows(1, first=number))
        checkpoint(tmp_path / "windows", after=0)
    return tmp_path / "windows"


@pytest.mark.parametrize("keeps", [0, 100])
def test_a_torn_checkpoint_does_not_end_the_stream(folder: Path, keeps: int) -> None:
    newest = max((folder / "_delta_log").glob("*.checkpoint.parquet"))
    newest.write_bytes(newest.read_bytes()[:keeps])
    assert AppendTable(folder.parent, WINDOWS).rows().num_rows == 4
    assert not newest.exists()
    assert len(list((folder / "_delta_log").glob("*.checkpoint.parquet"))) == 3
    append(folder, window_rows(1, first=9))
    assert AppendTable(folder.parent, WINDOWS).rows().num_rows == 5


def test_sound_ones_stay(folder: Path) -> None:
    assert remove_torn_checkpoints(folder) == []
    assert (folder / "_delta_log" / "_last_checkpoint").exists()


def test_other_damage_is_told(folder: Path) -> None:
    for path in (folder / "_delta_log").glob("*.checkpoint.parquet"):
        path.unlink()
    (folder / "_delta_log" / "_last_checkpoint").unlink()
    (folder / "_delta_log" / f"{1:020}.json").unlink()
    with pytest.raises(TryAgain, match="cannot be opened"):
        AppendTable(folder.parent, WINDOWS)
