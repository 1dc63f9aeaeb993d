from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from ingestion.backfill.judgement import Judgement, codes, judged, lacking
from tests.contract.lake import window_rows

WINDOW = ("machine_id", "window_start")


def rows(*numbers: int, revision: int = 0, **changes: Any) -> pa.Table:
    parts = [window_rows(1, first=n, day=date(2026, 3, 1), revision=revision).drop_columns(["date"]) for n in numbers]
    table = pa.concat_tables(parts)
    for name, held in changes.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array([held] * table.num_rows, field.type))
    return table


def judge(made: pa.Table, *found: pa.Table) -> Judgement:
    held = pa.concat_tables(found) if found else made.slice(0, 0)
    return judged(made, held, window=WINDOW)


def numbers(table: pa.Table) -> list[tuple[int, int]]:
    return [(int(row["mean"]), row["revision"]) for row in table.to_pylist()]


def test_what_the_table_lacks_is_fresh_and_what_it_has_is_equal() -> None:
    found = judge(rows(1, 2, 3), rows(2, 9))
    assert (numbers(found.fresh), found.equal, found.different) == ([(1, 0), (3, 0)], 1, 0)
    assert numbers(judge(rows(1, 2)).fresh) == [(1, 0), (2, 0)]


def test_where_rows_came_from_makes_no_difference() -> None:
    found = judge(rows(1), rows(1, topic="recording", partition=-1, first_offset=-1, last_offset=-1))
    assert (found.equal, found.fresh.num_rows) == (1, 0)


def test_revisions_that_follow_equal_ones_are_fresh() -> None:
    made = pa.concat_tables([rows(1), rows(1, revision=1, mean=7.0), rows(1, revision=2, mean=8.0)])
    found = judge(made, rows(1))
    assert (numbers(found.fresh), found.equal, found.different) == ([(7, 1), (8, 2)], 0, 0)
    assert judge(made, rows(1), rows(1, revision=1, mean=7.5)).different == 1


def test_the_newest_revision_counts_whatever_its_number() -> None:
    assert judge(rows(1), rows(1, mean=5.0), rows(1, revision=4)).equal == 1


def test_a_window_that_differs_becomes_the_revision_after_the_tables_newest() -> None:
    found = judge(rows(1, 2), rows(1, mean=5.0), rows(1, revision=3, mean=6.0), rows(2))
    assert (found.fresh.num_rows, found.equal, found.different) == (0, 1, 1)
    assert numbers(found.newer) == [(1, 4)]
    (told,) = found.differences
    assert told["columns"] == {"mean": {"table": 6.0, "backfill": 1.0}}
    assert told["sensor_id"] == "north-pump-01/flow"


def test_a_window_with_a_sensor_too_few_differs_as_a_whole() -> None:
    other = rows(1, sensor_id="north-pump-01/power")
    found = judge(pa.concat_tables([rows(1), other]), rows(1))
    assert (found.fresh.num_rows, found.different) == (0, 2)
    assert found.differences[0]["only_in"] == "backfill"
    assert judge(rows(1), rows(1), other).differences[0]["only_in"] == "table"


def test_a_row_that_is_there_twice_is_not_equal() -> None:
    assert judge(rows(1), rows(1), rows(1)).different == 1


def test_null_equals_null_alone() -> None:
    assert judge(rows(1, stddev=None), rows(1, stddev=None)).equal == 1
    assert judge(rows(1, stddev=None), rows(1)).different == 1


def test_of_rows_that_are_alike_as_many_as_are_lacking() -> None:
    made = pa.table({"a": [1, 2, 2, 2, None], "b": ["x", "y", "y", "y", "z"]})
    found = pa.table({"a": [2, 3, None], "b": ["y", "y", "z"]})
    assert lacking(made, found, ("a", "b")).to_pydict() == {"a": [1, 2, 2], "b": ["x", "y", "y"]}
    assert lacking(made, made, ("a", "b")).num_rows == 0


def test_codes_are_equal_where_all_columns_are() -> None:
    left, right = codes(
        (pa.table({"a": [1, 1, 2], "b": [0.5, None, 0.5]}), pa.table({"a": [1], "b": [0.5]})), ("a", "b")
    )
    assert left[0] == right[0]
    assert len(set(left.tolist())) == 3
