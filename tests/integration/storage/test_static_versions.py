"""Versions of the static data that streams join, from a real database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from ingestion.definition import message_columns
from storage.postgres.static_data import files_in, load
from storage.preparation.rows import DuckRowPreparation
from storage.preparation.static_versions import StaticVersions
from tests.streams import a_definition

pytestmark = pytest.mark.stack
PLANT = Path(__file__).parents[3] / "examples/plant"
DEFINITION = a_definition(
    join=[
        {"table": "sensors", "on": "sensor_id", "columns": {"high_limit": "high", "quantity": "quantity"}},
        {"table": "machines", "on": "machine_id", "columns": {"site_id": "site", "installed_on": "installed"}},
        {"table": "sites", "on": "site", "columns": {"name": "site_name"}},
    ],
    derived={"margin": "high - value", "age": "date_diff('day', installed, cast(event_time as date))"},
    key=["machine_id", "site"],
)


def test_a_change_of_the_plant_is_another_version_and_the_old_one_stays(engine: sa.Engine, tmp_path: Path) -> None:
    load(engine, files_in([PLANT]))
    preparation = DuckRowPreparation(DEFINITION, lambda: engine, tmp_path)
    reading = {
        "machine_id": "north-pump-01",
        "sensor_id": "north-pump-01/flow",
        "event_time": datetime(2013, 9, 15, tzinfo=UTC),
        "value": 80.0,
    }
    schema = message_columns(())
    batch = pa.RecordBatch.from_pylist([reading], schema=schema)

    def prepared(version: str) -> dict[str, object]:
        (row,) = preparation.prepare(batch, np.zeros(1, np.int64), version).readings.to_pylist()
        return {name: row[name] for name in ("quantity", "site", "site_name", "margin", "age")}

    before = preparation.version()
    told = {"quantity": "flow", "site": "north", "site_name": "Northfield Waterworks", "margin": 4.0, "age": 1}
    assert prepared(before) == told
    columns = {"sensors": ["sensor_id", "high_limit", "quantity"]}
    same = StaticVersions(lambda: engine, tmp_path, columns)
    assert same.newest() == StaticVersions(lambda: engine, tmp_path, columns).newest()
    with engine.begin() as connection:
        connection.execute(sa.text("update sensors set high_limit = 90 where sensor_id = 'north-pump-01/flow'"))
    after = DuckRowPreparation(DEFINITION, lambda: engine, tmp_path).version()
    assert after != before
    assert prepared(after) == told | {"margin": 10.0}
    assert prepared(before) == told
