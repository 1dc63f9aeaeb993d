from __future__ import annotations

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from scoring.errors import InvalidInput
from storage.lake.changes import current_version, gained
from tests.contract.lake import append, window_rows

VECTOR = {
    "storageType": "u",
    "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
    "offset": 4,
    "sizeInBytes": 40,
    "cardinality": 6,
}


def commits(folder: Path) -> list[Path]:
    return sorted((folder / "_delta_log").glob("*.json"))


def rewritten(folder: Path, version: int, **changes: object) -> None:
    """The commit with other fields in its add actions, as another writer would have written it."""
    path = folder / "_delta_log" / f"{version:020}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"] = {k: v for k, v in {**action["add"], **changes}.items() if v is not None}
    path.write_text("\n".join(json.dumps(action) for action in actions) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for first in (0, 10, 20):
        append(tmp_path / "windows", window_rows(3, first=first))
    return tmp_path / "windows"


def test_where_there_is_no_table_there_is_no_version(tmp_path: Path) -> None:
    assert current_version(tmp_path / "nix") is None
    (tmp_path / "windows" / "_delta_log").mkdir(parents=True)  # the first commit is under way
    assert current_version(tmp_path / "windows") is None
    with pytest.raises(InvalidInput, match="there is no table nix"):
        gained(tmp_path / "nix", None, 0)


def test_a_damaged_log_is_said(folder: Path) -> None:
    commits(folder)[1].unlink()
    with pytest.raises(InvalidInput, match="log of the lake table windows is damaged"):
        current_version(folder)


def test_a_cleaned_up_log_is_said_with_the_mend(folder: Path) -> None:
    DeltaTable(str(folder)).create_checkpoint()
    commits(folder)[1].unlink()
    assert [file.rows for file in gained(folder, 1, 2)] == [3]
    with pytest.raises(InvalidInput, match=r"version 1 .* no longer in its log.*incremental: false"):
        gained(folder, 0, 2)


def test_files_without_statistics_are_counted_by_their_footer(folder: Path) -> None:
    rewritten(folder, 2, stats=None)
    assert [file.rows for file in gained(folder, 1, 2)] == [3]


def test_deleted_data_is_not_gained(folder: Path) -> None:
    DeltaTable(str(folder)).delete("first_offset >= 20")
    assert gained(folder, 1, 3) == []
    assert len(gained(folder, 0, 3)) == 1
    assert len(gained(folder, 0, 2)) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"path": "s3://bucket/x.parquet"}, "files of this machine"), ({"deletionVector": VECTOR}, "deletion vectors")],
)
def test_what_cannot_be_read_is_refused(folder: Path, changes: dict[str, object], reason: str) -> None:
    rewritten(folder, 2, **changes)
    with pytest.raises(InvalidInput, match=reason):
        gained(folder, 1, 2)


def test_a_range_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="after 2 up to 1 are none"):
        gained(folder, 2, 1)
    with pytest.raises(InvalidInput, match="it has 0 to 2"):
        gained(folder, None, 3)
