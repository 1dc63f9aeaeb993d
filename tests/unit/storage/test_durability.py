"""Files are put in their place whole."""

from pathlib import Path

import pytest

from storage.durability import fsync_file, fsync_folder, write_whole


def test_a_file_is_replaced_and_no_draft_is_left(tmp_path: Path) -> None:
    path = tmp_path / "marker.json"

    write_whole(path, b"one")
    write_whole(path, b"two")

    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"marker.json": b"two"}


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fsync_file(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        fsync_folder(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "file", b"")
