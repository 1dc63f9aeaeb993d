"""Rows as files: Azure's text, and rows of columns for the predictions."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scoring.drivers.rows import WrongReturnType, count, write


def text_of(result: Any, tmp_path: Path) -> str:
    path = write(result, str(tmp_path / "0.e1.1"), text=True, predictions=False)
    assert path == str(tmp_path / "0.e1.1.txt")
    return Path(path).read_text()


def records_of(result: Any, tmp_path: Path, keys: Any = None) -> list[dict[str, Any]]:
    path = write(result, str(tmp_path / "0.e1.1"), text=False, predictions=True, keys=keys)
    assert path is not None
    if path.endswith(".jsonl"):
        return [json.loads(line) for line in Path(path).read_text().splitlines()]
    with pa.OSFile(path) as file:
        rows: list[dict[str, Any]] = pa.ipc.open_file(file).read_all().to_pylist()
    return rows


def test_a_list_is_the_text_of_its_items(tmp_path: Path) -> None:
    items = ["a b", 1, 0.5, None, {"k": "v"}, ["x"], ("y", 2), "µ"]
    assert text_of(items, tmp_path) == "a b\n1\n0.5\nNone\n{'k': 'v'}\n['x']\n('y', 2)\nµ\n"


def test_a_frame_is_space_separated_without_header_and_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file": ["a b.png", "c.png"], "class": [3, 4], "p": [0.25, math.nan]}, index=[7, 9])
    assert text_of(frame, tmp_path) == '"a b.png" 3 0.25\nc.png 4 \n'


def test_a_name_that_is_no_utf_8_keeps_its_bytes(tmp_path: Path) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    write([name, "\ud800"], str(tmp_path / "x"), text=True, predictions=False)
    assert (tmp_path / "x.txt").read_bytes() == b"caf\xe9\n\\ud800\n"


def test_no_half_file_is_left(tmp_path: Path) -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        write(["good", Bad()], str(tmp_path / "x"), text=True, predictions=False)
    assert not (tmp_path / "x.txt").exists()


@pytest.mark.parametrize("wrong", [None, "text", {"a": 1}, 5, np.zeros(3), pd.Series([1])])
def test_other_types_are_refused_by_name(wrong: Any) -> None:
    named = "None" if wrong is None else type(wrong).__name__
    with pytest.raises(WrongReturnType, match=f"returned {named}; allowed are list, tuple and pandas.DataFrame"):
        count(wrong)


def test_rows_are_counted() -> None:
    assert (count([]), count((1, 2)), count(pd.DataFrame({"a": [1, 2, 3]}))) == (0, 2, 3)


def test_items_become_records(tmp_path: Path) -> None:
    items = [
        {"score": 0.5, "extra": np.float32(1.5)},
        0.25,
        np.float64(0.75),
        True,
        "tag",
        None,
        math.nan,
        [1, math.inf],
    ]
    assert records_of(items, tmp_path) == [
        {"score": 0.5, "extra": 1.5},
        {"score": 0.25},
        {"score": 0.75},
        {"value": True},
        {"value": "tag"},
        {"value": None},
        {"value": None},
        {"value": [1, None]},
    ]


def test_records_get_the_keys_of_their_rows_unless_they_have_their_own(tmp_path: Path) -> None:
    keys = pd.DataFrame({"machine_id": ["p1", "p2"], "window_start": pd.to_datetime([0, 60], unit="s", utc=True)})
    found = records_of([0.5, {"machine_id": "own", "score": 1}], tmp_path, keys)
    assert found == [
        {"machine_id": "p1", "window_start": "1970-01-01T00:00:00+00:00", "score": 0.5},
        {"machine_id": "own", "window_start": "1970-01-01T00:01:00+00:00", "score": 1},
    ]
    assert records_of([0.5], tmp_path, keys) == [{"score": 0.5}], "which of two rows it is about is unknown"


def test_a_frame_keeps_its_types(tmp_path: Path) -> None:
    keys = pd.DataFrame({"machine_id": ["p1", "p2"], "window_start": pd.to_datetime([0, 60], unit="s", utc=True)})
    frame = pd.DataFrame({"score": [0.5, None], "label": ["ok", None], 3: [1, 2]})
    assert records_of(frame, tmp_path, keys) == [
        {
            "machine_id": "p1",
            "window_start": datetime(1970, 1, 1, tzinfo=UTC),
            "score": 0.5,
            "label": "ok",
            "3": 1,
        },
        {
            "machine_id": "p2",
            "window_start": datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
            "score": None,
            "label": None,
            "3": 2,
        },
    ]


def test_columns_of_mixed_objects_become_their_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"odd": [1, "two", None, {"x"}]})
    assert [row["odd"] for row in records_of(frame, tmp_path)] == ["1", "two", None, "{'x'}"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame([[1, 2]], columns=["score", "score"])
    with pytest.raises(WrongReturnType, match="two columns 'score'"):
        write(frame, str(tmp_path / "x"), text=False, predictions=True)


def test_an_empty_frame_is_no_rows(tmp_path: Path) -> None:
    assert records_of(pd.DataFrame(), tmp_path) == []
    assert records_of(pd.DataFrame({"score": []}), tmp_path) == []


def test_both_files_share_a_stem_and_the_text_is_named(tmp_path: Path) -> None:
    path = write(["a"], str(tmp_path / "3.e2.1"), text=True, predictions=True)
    assert path == str(tmp_path / "3.e2.1.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3.e2.1.jsonl", "3.e2.1.txt"]
    assert write(["a"], str(tmp_path / "4"), text=False, predictions=False) is None
