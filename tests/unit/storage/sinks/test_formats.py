"""Parts of mini-batches as one file, in each output_format."""

from __future__ import annotations

import csv
import io
import json
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from scoring.deployment import OutputFormat
from scoring.drivers import rows
from scoring.errors import JobFailed
from storage.sinks import formats
from tests.contract.values import a_deployment

Found = namedtuple("Found", ["label", "score"])


def written(
    folder: Path, kind: str, *returned: Any, sources: list[str] | None = None, header: bool = True
) -> tuple[Path, list[Path]]:
    """What one mini-batch a value gives, as one file; and its parts."""
    parts = []
    for place, value in enumerate(returned):
        output = {"format": kind, "source": sources is not None}
        path = rows.write(
            value, str(folder / str(place)), text=False, predictions=False, output=output, sources=sources
        )
        assert path is not None
        parts.append(Path(path))
    target = folder / "out"
    with target.open("wb") as file:
        formats.write(a_deployment(output_format=OutputFormat(kind), output_header=header), parts, file)
    return target, parts


def table(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def test_csv_has_one_header_and_the_columns_of_all_mini_batches(tmp_path: Path) -> None:
    first = pd.DataFrame({"file": ["a b.png", 'q"uote'], "score": [0.5, float("nan")]})
    second = pd.DataFrame({"score": [1.0], "comma, newline\nname": ["x\ny"]})
    found, _ = written(tmp_path, "csv", first, second)
    assert found.read_text() == ('file,score,"comma, newline\nname"\na b.png,0.5,\n"q""uote",,\n,1.0,"x\ny"\n')


def test_csv_of_lists_takes_keys_places_or_one_column_named_prediction(tmp_path: Path) -> None:
    found, _ = written(tmp_path, "csv", [{"a": 1, "b": None}, {"b": [1, "x"]}], (("x", 0.5), Found("y", True)), ["z"])
    assert list(csv.DictReader(io.StringIO(found.read_text()))) == [
        {"a": "1", "b": "", "0": "", "1": "", "label": "", "score": "", "prediction": ""},
        {"a": "", "b": '[1, "x"]', "0": "", "1": "", "label": "", "score": "", "prediction": ""},
        {"a": "", "b": "", "0": "x", "1": "0.5", "label": "", "score": "", "prediction": ""},
        {"a": "", "b": "", "0": "", "1": "", "label": "y", "score": "True", "prediction": ""},
        {"a": "", "b": "", "0": "", "1": "", "label": "", "score": "", "prediction": "z"},
    ]


def test_csv_without_a_header_keeps_its_columns_in_line(tmp_path: Path) -> None:
    found, _ = written(tmp_path, "csv", pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [2]}), header=False)
    assert found.read_text() == "1,\n,2\n"


def test_a_csv_of_nothing_is_empty_and_one_of_empty_mini_batches_a_header(tmp_path: Path) -> None:
    assert written(tmp_path, "csv", [], [])[0].read_text() == ""
    assert written(tmp_path, "csv", pd.DataFrame({"a": []}), [])[0].read_text() == "a\n"


def test_jsonl_is_an_object_a_row_in_plain_values(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    frame = pd.DataFrame({"n": [np.int64(1)], "at": [moment], "none": [float("nan")]})
    found, _ = written(tmp_path, "jsonl", frame, [{"é": np.float32(0.5)}, (1, "x"), None])
    assert [json.loads(line) for line in found.read_text().splitlines()] == [
        {"n": 1, "at": "2026-03-01T00:00:00+00:00", "none": None},
        {"é": 0.5},
        {"0": 1, "1": "x"},
        {"prediction": None},
    ]


def test_parquet_keeps_types_and_widens_them_where_mini_batches_differ(tmp_path: Path) -> None:
    first = pd.DataFrame({"n": [1, 2], "kind": pd.Categorical(["a", "b"]), "mixed": [1, 2]})
    second = pd.DataFrame({"n": [0.5], "mixed": ["x"], "new": [True]})
    found, parts = written(tmp_path, "parquet", first, second, [{"n": 7, "mixed": {"deep": 1}}])
    assert [part.suffix for part in parts] == [".feather", ".feather", ".ndjson"]
    assert table(found) == [
        {"n": 1.0, "kind": "a", "mixed": "1", "new": None},
        {"n": 2.0, "kind": "b", "mixed": "2", "new": None},
        {"n": 0.5, "kind": None, "mixed": "x", "new": True},
        {"n": 7.0, "kind": None, "mixed": '{"deep":1}', "new": None},
    ]


def test_parquet_of_many_small_mini_batches_has_few_row_groups(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(formats, "_GROUP_ROWS", 10)
    found, _ = written(tmp_path, "parquet", *[pd.DataFrame({"n": [place]}) for place in range(25)])
    assert [row["n"] for row in table(found)] == list(range(25))
    assert pq.read_metadata(found).num_row_groups == 3


def test_parquet_of_no_rows_is_a_parquet_file(tmp_path: Path) -> None:
    assert pq.read_table(written(tmp_path, "parquet", [])[0]).num_rows == 0


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_source_is_known_where_a_row_stands_for_an_item_or_there_is_one_file(tmp_path: Path, kind: str) -> None:
    def sources(returned: Any, items: list[str]) -> list[str | None]:
        found, _ = written(tmp_path, kind, returned, sources=items)
        if kind == "csv":
            return [row["source"] or None for row in csv.DictReader(io.StringIO(found.read_text()))]
        if kind == "jsonl":
            return [json.loads(line)["source"] for line in found.read_text().splitlines()]
        return [row["source"] for row in table(found)]

    assert sources([1, 2], ["/a", "/b"]) == ["/a", "/b"]
    assert sources(pd.DataFrame({"x": [1, 2]}), ["/a", "/b"]) == ["/a", "/b"]
    assert sources([1, 2, 3], ["/a"]) == ["/a"] * 3
    assert sources([1, 2, 3], ["/a", "/b"]) == [None] * 3


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "returned", [pd.DataFrame({"score": [1, 2], "label": ["a", "b"]}), [{"score": 1}, {"score": 2}]]
)
def test_rows_of_a_table_say_what_they_are_about(tmp_path: Path, kind: str, returned: Any) -> None:
    keys = pd.DataFrame(
        {"machine_id": ["m1", "m2"], "window_start": pd.to_datetime(["2026-03-01", "2026-03-02"], utc=True)}
    )
    keys["label"] = "the script's own counts"
    path = rows.write(returned, str(tmp_path / "0"), text=False, predictions=False, output={"format": kind}, keys=keys)
    with (tmp_path / "out").open("wb") as file:
        formats.write(a_deployment(output_format=OutputFormat(kind)), [Path(str(path))], file)
    found = {"csv": pd.read_csv, "jsonl": lambda out: pd.read_json(out, lines=True), "parquet": pd.read_parquet}[kind](
        tmp_path / "out"
    )
    assert found["machine_id"].tolist() == ["m1", "m2"]
    assert pd.to_datetime(found["window_start"], utc=True).dt.day.tolist() == [1, 2]
    assert found["score"].tolist() == [1, 2]
    if isinstance(returned, pd.DataFrame):
        assert found["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_what_has_no_clear_columns_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(rows.WrongReturnType, match="two columns 'a'"):
        written(tmp_path, kind, pd.DataFrame([[1, 2]], columns=["a", "a"]))
    for returned in (pd.DataFrame({"source": [1]}), [{"source": 1}]):
        with pytest.raises(rows.WrongReturnType, match="a column 'source', and output_source adds one"):
            written(tmp_path, kind, returned, sources=["/a"])


@pytest.mark.parametrize(("kind", "suffix"), [("csv", ".rows"), ("parquet", ".feather"), ("parquet", ".ndjson")])
def test_a_broken_part_is_named(tmp_path: Path, kind: str, suffix: str) -> None:
    part = tmp_path / f"000001.e1.1{suffix}"
    part.write_bytes(b"{broken\n")
    with (tmp_path / "out").open("wb") as file, pytest.raises(JobFailed, match=r"the result file .*000001"):
        formats.write(a_deployment(output_format=OutputFormat(kind)), [part], file)
