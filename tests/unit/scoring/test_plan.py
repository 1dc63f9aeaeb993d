"""Items to mini-batches."""

from __future__ import annotations

import pytest

from scoring.errors import InvalidInput
from scoring.job import JobInputType
from scoring.mini_batch_size import MiniBatchSize
from scoring.minibatch import InputItem
from scoring.plan import plan, planned_items


def files(number: int) -> list[InputItem]:
    return [InputItem(uri=f"/data/{n}", size_bytes=n) for n in range(number)]


def parts(*rows: int | None) -> list[InputItem]:
    return [InputItem(uri=f"/lake/{n}", size_bytes=9, rows=count) for n, count in enumerate(rows)]


def test_files_are_cut_in_listing_order_and_the_last_mini_batch_may_be_smaller() -> None:
    found = plan(JobInputType.URI_FOLDER, files(7), MiniBatchSize(number=3))
    assert [[item.uri for item in m.items] for m in found] == [
        ["/data/0", "/data/1", "/data/2"],
        ["/data/3", "/data/4", "/data/5"],
        ["/data/6"],
    ]
    assert [m.index for m in found] == [0, 1, 2]


def test_part_files_are_kept_whole_and_filled_up_to_the_rows() -> None:
    found = plan(JobInputType.TABLE, parts(4, 5, 2, 30, 1, 1), MiniBatchSize(number=10))
    assert [[item.rows for item in m.items] for m in found] == [[4, 5], [2], [30], [1, 1]]


def test_part_files_without_rows_are_left_out() -> None:
    assert plan(JobInputType.TABLE, parts(0, 0), MiniBatchSize(number=10)) == ()
    assert [m.index for m in plan(JobInputType.TABLE, parts(0, 3, 0), MiniBatchSize(number=10))] == [0]


def test_no_items_are_no_mini_batches() -> None:
    assert plan(JobInputType.URI_FOLDER, [], MiniBatchSize(number=10)) == ()


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match=f"mini_batch_size: {size} is too small"):
        plan(JobInputType.URI_FOLDER, files(1), MiniBatchSize(number=size))


def test_a_part_file_without_a_row_count_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="/lake/1: a part file of a table needs its number of rows"):
        plan(JobInputType.TABLE, parts(1, None), MiniBatchSize(number=10))


def test_planned_items_are_rows_where_known_and_files_otherwise() -> None:
    assert planned_items(plan(JobInputType.URI_FOLDER, files(3), MiniBatchSize(number=5))[0]) == 3
    assert planned_items(plan(JobInputType.TABLE, parts(3, 4), MiniBatchSize(number=50))[0]) == 7
