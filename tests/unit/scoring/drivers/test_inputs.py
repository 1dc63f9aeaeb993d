"""What `run` gets: paths, slices as files, frames, and parts of them."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.drivers.frames import NoFrame
from scoring.drivers.inputs import Input
from scoring.drivers.slices import FileChanged
from scoring.minibatch import InputItem, MiniBatch, Slice, SliceKind

TABLE = {"static_path": None, "join": [], "pivot": None}


def load(name: str) -> ModuleType:
    return importlib.import_module(f"scoring.drivers.{name}")


def message(*items: InputItem, **more: Any) -> dict[str, Any]:
    return {"index": 3, **MiniBatch(index=3, items=items).message(), **more}


def text(path: Path, start: int | None = None, end: int = 0, header: int = 0) -> InputItem:
    part = None if start is None else Slice(kind=SliceKind.BYTES, start=start, end=end, header=header)
    return InputItem(uri=str(path), size_bytes=1, slice=part)


def rows(path: Path, start: int, end: int) -> InputItem:
    return InputItem(uri=str(path), size_bytes=1, slice=Slice(kind=SliceKind.ROWS, start=start, end=end))


def reader(kind: str, folder: Path, **more: Any) -> Input:
    return Input({"table": None, "input": {"format": kind, "header": True, "slices": str(folder)}, **more}, load)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "n.csv"
    path.write_text("n\n1\n2\n3\n4\n")
    return path


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "p.parquet"
    times = pa.array([f"m{n}" for n in range(9)])
    pq.write_table(pa.table({"machine_id": times, "n": range(9)}), path, row_group_size=4)
    return path


def test_whole_files_are_given_as_they_are(csv: Path) -> None:
    found = Input({"table": None}, load).read(message(text(csv)))
    assert (found.value, found.items, found.sources) == ([str(csv)], 1, [str(csv)])


def test_a_slice_is_a_file_of_its_own_until_it_is_cleaned_away(csv: Path, tmp_path: Path) -> None:
    given = reader("slices", tmp_path / "slices")
    told = message(text(csv, 4, 8, header=2), text(csv))
    found = given.read(told)
    assert Path(found.value[0]).read_text() == "n\n2\n3\n"
    assert os.path.basename(found.value[0]) == "n.4-8.csv"
    assert found.value[1] == str(csv)
    assert found.sources == [str(csv), str(csv)]
    given.clean(told)
    assert not Path(found.value[0]).exists()
    assert csv.exists()


def test_slices_of_one_name_in_one_mini_batch_do_not_meet(csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "n.csv"
    other.parent.mkdir()
    other.write_text("n\n7\n8\n9\n0\n")
    found = reader("slices", tmp_path / "slices").read(message(text(csv, 2, 4, 2), text(other, 2, 4, 2)))
    assert [Path(path).read_text() for path in found.value] == ["n\n1\n", "n\n7\n"]


def test_pieces_of_one_mini_batch_have_folders_of_their_own(csv: Path, tmp_path: Path) -> None:
    given = reader("slices", tmp_path / "slices")
    one, two = (message(text(csv, 2, 4, 2), piece=number, part=None) for number in (1, 2))
    first, second = given.read(one), given.read(two)
    given.clean(one)
    assert not os.path.exists(first.value[0])
    assert os.path.exists(second.value[0])


def test_a_slice_of_a_parquet_file_is_a_parquet_file(parquet: Path, tmp_path: Path) -> None:
    found = reader("slices", tmp_path / "slices").read(message(rows(parquet, 3, 6)))
    assert pq.read_table(found.value[0])["n"].to_pylist() == [3, 4, 5]


def test_frames_of_several_files_and_slices_are_one(csv: Path, parquet: Path, tmp_path: Path) -> None:
    found = reader("dataframe", tmp_path).read(message(text(csv, 6, 10, 2), rows(parquet, 7, 9), text(csv)))
    assert found.value["n"].tolist() == [3, 4, 7, 8, 1, 2, 3, 4]
    assert found.value.index.tolist() == list(range(8))
    assert found.items == 8
    assert [Path(source).name for source in found.sources or ()] == ["n.csv"] * 2 + ["p.parquet"] * 2 + ["n.csv"] * 4


def test_a_part_of_a_frame_keeps_its_sources(csv: Path, tmp_path: Path) -> None:
    found = reader("dataframe", tmp_path).read(message(text(csv), part=[1, 3], piece=2))
    assert (found.value["n"].tolist(), found.value.index.tolist(), found.items) == ([2, 3], [0, 1], 2)
    assert found.sources == [str(csv)] * 2


def test_rows_of_a_table_are_cut_and_keep_what_they_are_about(parquet: Path, tmp_path: Path) -> None:
    given = Input({"table": TABLE}, load)
    found = given.read(message(rows(parquet, 2, 7)))
    assert found.value["n"].tolist() == [2, 3, 4, 5, 6]
    part = given.read(message(rows(parquet, 2, 7), part=[3, 5], piece=1))
    assert part.value["n"].tolist() == [5, 6]
    assert part.keys["machine_id"].tolist() == ["m5", "m6"]


@pytest.mark.parametrize("kind", ["slices", "dataframe"])
def test_a_file_that_has_shrunk_since_planning_is_named(csv: Path, parquet: Path, tmp_path: Path, kind: str) -> None:
    given = reader(kind, tmp_path / "slices")
    with pytest.raises(FileChanged, match=r"n\.csv has 10 bytes, and had 99 at least"):
        given.read(message(text(csv, 2, 99, 2)))
    with pytest.raises(FileChanged, match=r"p\.parquet has 9 rows, and had 12 at least"):
        given.read(message(rows(parquet, 2, 12)))


def test_frames_of_every_kind(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "t": ["a", "b c"]})
    frame.to_csv(tmp_path / "0.CSV", index=False, sep=";")
    frame.to_csv(tmp_path / "1.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "2.csv.gz", index=False)
    frame.to_json(tmp_path / "3.ndjson", orient="records", lines=True)
    frame.to_json(tmp_path / "4.json", orient="records")
    frame.to_parquet(tmp_path / "5.pq")
    (tmp_path / "6.csv").touch()
    for path in sorted(tmp_path.iterdir()):
        found = reader("dataframe", tmp_path / "slices").read(message(text(path)))
        assert found.value.to_dict("records") == ([] if path.name == "6.csv" else frame.to_dict("records")), path.name


def test_what_is_no_table_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(NoFrame, match=r"a\.png: no DataFrame can be made of it; allowed are files ending in \.csv"):
        reader("dataframe", tmp_path).read(message(text(tmp_path / "a.png")))
