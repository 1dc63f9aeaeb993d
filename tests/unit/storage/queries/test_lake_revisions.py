"""Readers get the latest revision of each window, and where they ask for them all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from storage.queries import lake, sql
from storage.queries.stores import EVERYTHING, Stores
from tests.contract.lake import append, window_rows

STATEMENT = "select first_offset, coalesce(revision, 0) as revision from {} order by all"


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(lake=tmp_path / "lake", postgres_url="postgresql+psycopg2://nobody:nothing@127.0.0.1:9/none")


def asked(stores: Stores, table: str) -> list[tuple[int, int]]:
    rows = sql.query(stores, STATEMENT.format(table)).rows.to_pylist()
    return [(row["first_offset"], row["revision"]) for row in rows]


def read(stores: Stores) -> list[tuple[int, int]]:
    frame = lake.read(stores.lake, STATEMENT.format("windows"), tables={"windows": EVERYTHING})
    return list(frame.itertuples(index=False, name=None))


def test_the_latest_revision_is_read(stores: Stores) -> None:
    folder = stores.lake / "windows"
    append(folder, window_rows(4))
    append(folder, window_rows(2, first=1, revision=1))
    append(folder, pa.concat_tables([window_rows(1, first=2, revision=2), window_rows(1, first=9, revision=1)]))
    latest = [(0, 0), (1, 1), (2, 2), (3, 0), (9, 1)]
    assert read(stores) == latest
    assert asked(stores, "lake.windows") == latest
    assert asked(stores, "lake.windows_revisions") == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (9, 1)]


def test_rows_from_before_there_were_revisions_are_the_first(stores: Stores) -> None:
    folder = stores.lake / "windows"
    rows = window_rows(2)
    null = pa.nulls(2, pa.int32())
    append(folder, rows.set_column(rows.schema.get_field_index("revision"), rows.schema.field("revision"), null))
    append(folder, window_rows(1, first=1, revision=1))
    assert read(stores) == [(0, 0), (1, 1)]
    assert asked(stores, "lake.windows") == [(0, 0), (1, 1)]


def test_without_corrections_nothing_is_looked_up(stores: Stores) -> None:
    append(stores.lake / "windows", window_rows(2))
    assert not lake.snapshot(stores.lake, "windows").has_revisions
    assert read(stores) == asked(stores, "lake.windows") == [(0, 0), (1, 0)]


def test_without_a_table_there_are_no_rows(stores: Stores) -> None:
    stores.lake.mkdir()
    assert asked(stores, "lake.windows_revisions") == []
