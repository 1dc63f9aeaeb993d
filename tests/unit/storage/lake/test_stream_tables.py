"""Tables of defined streams: made as the definition says, refused where they are another's, found again in the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.errors import InvalidInput
from storage.lake.creation import opened
from storage.lake.stream_tables import StreamTables, defined_tables, is_late_table, key_of
from storage.lake.tables import WINDOWS
from tests.streams import a_definition


def test_a_table_that_fits_or_is_not_there_is_taken(tmp_path: Path) -> None:
    tables = StreamTables.of(a_definition())
    tables.check(tmp_path)
    opened(tmp_path, tables.windows)
    opened(tmp_path, tables.late)
    tables.check(tmp_path)


def test_a_table_with_other_columns_is_refused_with_their_names_and_the_mend(tmp_path: Path) -> None:
    opened(tmp_path, StreamTables.of(a_definition()).windows)
    other = a_definition(
        key=["machine_id"], aggregates={"count": "count", "mean": {"function": "latest", "of": "unit"}}
    )
    with pytest.raises(InvalidInput) as refused:
        StreamTables.of(other).check(tmp_path)
    told = str(refused.value)
    assert "a table small with other columns: sensor_id is one too many; mean is double, string is wanted" in told
    assert "sink.table" in told
    assert "tidemill stream reset small" in told


def test_tables_are_found_in_the_lake_with_their_key(tmp_path: Path) -> None:
    assert defined_tables(tmp_path / "none") == {}
    definition = a_definition(
        join=[{"table": "machines", "on": "machine_id", "columns": {"site_id": "site"}}], key=["machine_id", "site"]
    )
    tables = StreamTables.of(definition)
    opened(tmp_path, tables.windows)
    opened(tmp_path, tables.late)
    opened(tmp_path, WINDOWS)
    found = defined_tables(tmp_path)
    assert list(found) == ["small", "small_late"]
    assert list(key_of(found["small"].schema)) == ["machine_id", "site"]
    assert list(key_of(found["small_late"].schema)) == []
    assert list(key_of(WINDOWS.schema)) == ["machine_id", "sensor_id"]
    assert is_late_table("small_late")


def test_deleting_takes_both_tables(tmp_path: Path) -> None:
    tables = StreamTables.of(a_definition())
    opened(tmp_path, tables.windows)
    assert tables.delete(tmp_path) == ["small"]
    assert tables.delete(tmp_path) == []
