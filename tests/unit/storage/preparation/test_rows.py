"""Filter, derived columns and joins of a batch: what goes on, in which order, with which version of the static data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from ingestion.definition import StreamDefinition, message_columns
from ingestion.errors import TryAgain
from storage.preparation import static_versions
from storage.preparation.rows import DuckRowPreparation
from storage.preparation.static_versions import StaticVersions
from tests.streams import a_definition

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
MACHINES = [{"machine_id": f"m{n}", "site_id": f"s{n % 2}"} for n in range(4)]


def readings(values: Sequence[float], definition: StreamDefinition, **more: Sequence[Any]) -> pa.RecordBatch:
    rows = len(values)
    columns = {
        "machine_id": [f"m{n % 5}" for n in range(rows)],
        "sensor_id": [f"m{n % 5}/flow" for n in range(rows)],
        "event_time": [ORIGIN + timedelta(seconds=n) for n in range(rows)],
        "value": list(values),
        "unit": ["bar", None] * (rows // 2) + ["bar"] * (rows % 2),
        "sequence": list(range(rows)),
        **more,
    }
    return pa.RecordBatch.from_pydict(columns, schema=message_columns(definition.fields))


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The rows of the table machines, to be changed by a test; None raises as a database that is away."""
    rows = [dict(row) for row in MACHINES]

    def read(engine: object, columns: Mapping[str, Sequence[str]]) -> Mapping[str, pa.Table]:
        if not rows:
            raise sa.exc.OperationalError("select", {}, Exception("away"))
        return {
            "machines": pa.Table.from_pylist(rows, schema=pa.schema([(n, pa.string()) for n in columns["machines"]]))
        }

    monkeypatch.setattr(static_versions, "read_tables", read)
    return rows


def prepared(definition: StreamDefinition, batch: pa.RecordBatch, folder: Path) -> tuple[pa.Table, list[int]]:
    preparation = DuckRowPreparation(definition, lambda: None, folder)  # type: ignore[arg-type, return-value]
    offsets = np.arange(batch.num_rows, dtype=np.int64) * 10
    found = preparation.prepare(batch, offsets, preparation.version())
    assert found.readings.schema.names == list(definition.columns)
    return pa.Table.from_batches([found.readings]), found.offsets.tolist()


def test_a_filter_keeps_the_order_and_the_offsets(tmp_path: Path) -> None:
    definition = a_definition(filter="value > 2 and unit = 'bar'")
    rows, offsets = prepared(definition, readings([1.0, 9.0, 3.0, 4.0, 5.0], definition), tmp_path)
    assert rows["value"].to_pylist() == [3.0, 5.0]
    assert offsets == [20, 40]
    assert list(tmp_path.iterdir()) == []


def test_nothing_left_is_an_empty_batch(tmp_path: Path) -> None:
    definition = a_definition(filter="false")
    rows, offsets = prepared(definition, readings([1.0, 2.0], definition), tmp_path)
    assert (rows.num_rows, offsets) == (0, [])


def test_derived_columns_see_those_before_them_and_the_declared_fields(tmp_path: Path) -> None:
    definition = a_definition(
        source={"fields": {"ambient": "double"}},
        derived={"kelvin": "value + 273.15", "warmer": "kelvin - ambient", "word": "upper(unit)", "high": "value > 1"},
    )
    rows, _ = prepared(definition, readings([1.0, 2.0], definition, ambient=[None, 20.0]), tmp_path)
    assert rows["kelvin"].to_pylist() == [274.15, 275.15]
    assert rows["warmer"].to_pylist() == [None, 255.14999999999998]
    assert rows["word"].to_pylist() == ["BAR", None]
    assert rows["high"].to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("cast(unit as double)", [None, None]),
        ("value / 0", [None, None]),
        ("1 / (value - 1)", [None, 1.0]),
        ("cast(value as bigint) // 0", [None, None]),
        ("ln(-value)", [None, None]),
        ("value * 1e200", [None, None]),
        ("cast(9223372036854775807 as bigint) + cast(value as bigint)", [None, None]),
    ],
)
def test_what_cannot_be_computed_is_null_and_stops_nothing(
    expression: str, found: list[float | None], tmp_path: Path
) -> None:
    definition = a_definition(derived={"x": expression})
    rows, _ = prepared(definition, readings([1.0, 2.0], definition), tmp_path)
    assert rows["x"].to_pylist() == found


def test_a_filter_that_cannot_be_computed_is_not_true(tmp_path: Path) -> None:
    definition = a_definition(filter="cast(unit as double) > 0 or value = 2")
    _, offsets = prepared(definition, readings([1.0, 2.0], definition), tmp_path)
    assert offsets == [10]


def test_a_join_finds_each_row_at_most_once_and_keeps_those_without(
    plant: list[dict[str, str]], tmp_path: Path
) -> None:
    definition = a_definition(
        join=[{"table": "machines", "on": "machine_id", "columns": {"site_id": "site"}}],
        key=["machine_id", "site"],
    )
    rows, offsets = prepared(definition, readings(range(1000), definition), tmp_path)
    assert offsets == [row * 10 for row in range(1000)]
    assert rows["site"].to_pylist()[:6] == ["s0", "s1", "s0", "s1", None, "s0"]


def test_a_version_stays_what_it_was_when_the_plant_changes(plant: list[dict[str, str]], tmp_path: Path) -> None:
    definition = a_definition(join=[{"table": "machines", "on": "machine_id", "columns": {"site_id": "site"}}])
    clock = [0.0]
    versions = StaticVersions(
        lambda: None,  # type: ignore[arg-type, return-value]
        tmp_path,
        {"machines": ["machine_id", "site_id"]},
        monotonic=lambda: clock[0],
    )
    before = versions.newest()
    plant[0]["site_id"] = "moved"
    assert versions.newest() == before, "looked at again before its time"
    clock[0] += 3600
    after = versions.newest()
    assert after != before
    preparation = DuckRowPreparation(definition, lambda: None, tmp_path)  # type: ignore[arg-type, return-value]
    batch = readings([1.0], definition)
    for version, site in [(before, "s0"), (after, "moved"), (before, "s0")]:
        found = preparation.prepare(batch, np.zeros(1, np.int64), version)
        assert found.readings.column("site").to_pylist() == [site]


def test_a_database_that_is_away_leaves_the_last_version(plant: list[dict[str, str]], tmp_path: Path) -> None:
    clock = [0.0]
    versions = StaticVersions(
        lambda: None,  # type: ignore[arg-type, return-value]
        tmp_path,
        {"machines": ["machine_id"]},
        monotonic=lambda: clock[0],
    )
    rows = list(plant)
    plant.clear()
    with pytest.raises(TryAgain, match="static data that the stream joins cannot be read"):
        versions.newest()
    plant += rows
    known = versions.newest()
    plant.clear()
    clock[0] += 3600
    assert versions.newest() == known


def test_a_version_that_is_gone_or_damaged_is_told(plant: list[dict[str, str]], tmp_path: Path) -> None:
    versions = StaticVersions(lambda: None, tmp_path, {"machines": ["machine_id"]})  # type: ignore[arg-type, return-value]
    version = versions.newest()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(TryAgain, match="damaged"):
        versions.tables(version)
    file.unlink()
    with pytest.raises(TryAgain, match="is not in"):
        versions.tables(version)
