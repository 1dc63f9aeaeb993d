from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scoring.errors import JobFailed
from storage.lake.predictions import frame, read_rows
from storage.lake.tables import PREDICTION_SCHEMA
from tests.contract.values import NOW, a_job

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def framed(rows: pa.Table) -> list[dict[str, Any]]:
    batch = frame(rows, job=a_job(), mini_batch=4, source=["s"] * rows.num_rows, scored_at=NOW)
    batch.validate(full=True)
    assert batch.schema == PREDICTION_SCHEMA
    return batch.to_pylist()  # type: ignore[no-any-return]


def column(name: str, values: pa.Array | list[Any]) -> list[Any]:
    return [row[name] for row in framed(pa.table({name: values}))]


def test_rows_are_numbered_and_name_their_origin() -> None:
    first, second = framed(pa.table({"score": [1.5, None], "label": ["a", None]}))
    assert first == {
        "job_name": "job-1", "endpoint_name": "pumps", "deployment_name": "blue", "model_name": "net",
        "model_version": "7", "mini_batch": 4, "row": 0, "machine_id": None, "window_start": None, "window_end": None,
        "source": "s", "score": 1.5, "label": "a", "details": None, "scored_at": NOW,
    }  # fmt: skip
    assert (second["row"], second["score"], second["label"]) == (1, None, None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, 2], pa.int8()), [1.0, 2.0]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([0.5, float("inf")], pa.float32()), [0.5, float("inf")]),
        (pa.array([Decimal("1.25"), None]), [1.25, None]),
        (pa.array([2**60 + 1, 0]), [float(2**60), 0.0]),
        (pa.nulls(2), [None, None]),
        (pa.array([1.0, 2.0]).dictionary_encode(), [1.0, 2.0]),
    ],
)
def test_a_score_is_any_number(values: pa.Array, expected: list[float | None]) -> None:
    assert column("score", values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([NOON]), NOON),
        (pa.array([datetime(2026, 3, 29, 12)], pa.timestamp("ns")), NOON),  # without a zone it is UTC
        (pa.array([NOON], pa.timestamp("s", tz="Europe/Berlin")), NOON),
        (pa.array(["2026-03-29T14:00:00+02:00"]), NOON),
        (pa.array(["2026-03-29 12:00:00"]), NOON),
        (pa.array([date(2026, 3, 29)]), NOON - timedelta(hours=12)),
        (pa.nulls(1), None),
    ],
)
def test_a_window_is_any_time(values: pa.Array, expected: datetime | None) -> None:
    assert column("window_start", values) == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [(pa.array([3]), "3"), (pa.array([True]), "true"), (pa.array(["a\0b"]), "a\\x00b"), (pa.nulls(1), None)],
)
def test_a_label_is_any_single_value(values: pa.Array, expected: str | None) -> None:
    assert column("label", values) == [expected]


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("score", pa.array([None, "high"]), "column score .* mini-batch 4 has string such as 'high'; numbers"),
        ("score", pa.array([[1.0]]), r"column score .* list.* such as \[1.0\]"),
        ("score", pa.array([NOON]), "column score .* timestamp"),
        ("window_end", pa.array(["yesterday"]), "column window_end .* 'yesterday'; times are wanted"),
        ("window_end", pa.array([1.5]), "column window_end .* double"),
        ("label", pa.array([{"a": 1}]), "column label .* struct.*; texts are wanted"),
        ("machine_id", pa.array([["m"]]), "column machine_id"),
    ],
)
def test_a_wrong_type_fails_the_job_by_its_column(name: str, values: pa.Array, reason: str) -> None:
    with pytest.raises(JobFailed, match=reason):
        framed(pa.table({name: values}))


def test_other_columns_are_details() -> None:
    rows = pa.table(
        {
            "score": [1.0],
            "row": [99],  # ours by that name is the number in the mini-batch
            "job_name": ["mine"],
            "why\0": pa.array(["a\0b \\u0000"]),
            "nan": [float("nan")],
            "list": [[1.0, float("inf")]],
            "when": pa.array([datetime(2026, 3, 29, 14, tzinfo=timezone(timedelta(hours=2)))]),
            "day": [date(2026, 3, 29)],
            "bytes": [b"\xff"],
            "decimal": [Decimal("1.10")],
            "big": pa.array([2**64 - 1], pa.uint64()),
            "struct": [{"a": {"b": None}}],
        }
    )
    (row,) = framed(rows)
    assert (row["row"], row["job_name"]) == (0, "job-1")
    details = json.loads(row["details"])
    assert datetime.fromisoformat(details.pop("when")) == NOON
    assert details == {
        "row": 99, "job_name": "mine", "why\\x00": "a\\x00b \\u0000", "nan": None, "list": [1.0, None],
        "day": "2026-03-29", "bytes": "\\xff", "decimal": "1.10", "big": str(2**64 - 1), "struct": {"a": {"b": None}},
    }  # fmt: skip
    assert "\\u0000" not in row["details"].replace("\\\\u0000", "")


def test_json_lines_become_rows(tmp_path: Path) -> None:
    file = tmp_path / "0.jsonl"
    file.write_text('{"score": 1}\n{"score": 2.5, "extra": [1]}\n\n{"mixed": 1}\n{"mixed": "x"}\n')
    rows = framed(read_rows(file))
    assert [row["score"] for row in rows] == [1.0, 2.5, None, None]
    assert [json.loads(row["details"])["mixed"] for row in rows] == [None, None, "1", '"x"']


def test_rows_without_columns_are_rows_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "0.jsonl"
    file.write_text("{}\n{}\n")
    assert len(framed(read_rows(file))) == 2
    file.write_text("")
    assert read_rows(file).num_rows == 0


@pytest.mark.parametrize("name", ["0.arrow", "0.jsonl"])
def test_a_torn_file_fails_the_job_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'{"score"')
    with pytest.raises(JobFailed, match=name):
        read_rows(tmp_path / name)
