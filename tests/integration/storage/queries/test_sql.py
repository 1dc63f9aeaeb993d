"""`tidemill sql`: both stores in one statement, and nothing else within reach."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from storage.queries import sql
from storage.queries.errors import InvalidQuery, LimitReached, StoreAway
from storage.queries.stores import Stores
from tests.plant import Plant, database

pytestmark = pytest.mark.stack


def one(stores: Stores, statement: str) -> object:
    rows = sql.query(stores, statement).rows
    assert rows.num_rows == 1, rows
    return rows.column(0)[0].as_py()


def test_predictions_windows_and_machines_join(stores: Stores, plant: Plant) -> None:
    answer = sql.query(
        stores,
        """select m.site_id, count(*) as n, max(p.score) as worst
           from predictions p join windows w using (machine_id, window_start) join machines m using (machine_id)
           where w.sensor_id like '%/vibration' group by 1 order by 1""",
    )
    expected = plant.predictions.assign(site=plant.predictions["machine_id"].str.split("-").str[0])
    assert answer.rows.to_pylist() == [
        {"site_id": site, "n": len(of), "worst": pytest.approx(of["score"].max())}
        for site, of in expected.groupby("site")
    ]


@pytest.mark.parametrize("name", ["windows", "lake.windows", '"lake"."windows"', "Windows"])
def test_lake_tables_have_every_row(stores: Stores, plant: Plant, name: str) -> None:
    assert one(stores, f"select count(*) from {name}") == len(plant.windows)


def test_a_bare_name_that_both_have_is_the_one_of_postgres(stores: Stores, plant: Plant) -> None:
    described = sql.query(stores, "describe predictions").rows.column("column_name").to_pylist()
    assert "date" not in described
    assert one(stores, "select count(*) from predictions") == len(plant.predictions)
    assert "date" in sql.query(stores, "describe lake.predictions").rows.column("column_name").to_pylist()
    assert one(stores, "select count(*) from lake.predictions") == len(plant.predictions)


def test_a_name_that_the_statement_defines_hides_the_table(stores: Stores) -> None:
    assert one(stores, "with machines as (select 41 as x) select x + 1 from machines") == 42


def test_values_of_postgres_come_with_their_types(postgres_url: str, tmp_path: Path) -> None:
    with database(postgres_url) as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    """create table odd (a int, b bigint, c double precision, d numeric, e boolean, f text, g text,
                                         h timestamptz, i date, j jsonb, k text);
                       insert into odd values
                         (1, 9007199254740993, 1.5, 2.25, true, '', null, '2026-03-29 01:30:00+02', '2026-03-29',
                          '{"x": [1, "ü"]}', E'two\\nlines, "quoted"'),
                         (null, null, 'NaN', null, false, 'x', 'y', null, null, null, null)"""
                )
            )
        engine.dispose()
        rows = sql.query(Stores(lake=tmp_path, postgres_url=url), "select * from odd order by e desc").rows
    first, second = rows.to_pylist()
    assert (first["a"], first["b"], first["c"], first["d"], first["e"]) == (1, 9007199254740993, 1.5, 2.25, True)
    assert (first["f"], first["g"], first["k"]) == ("", None, 'two\nlines, "quoted"')
    assert first["h"].isoformat() == "2026-03-28T23:30:00+00:00"
    assert first["i"].isoformat() == "2026-03-29"
    assert (
        sql.query(Stores(lake=tmp_path), """select '{"x": [1, "ü"]}'::json->'x'->>1 as u""").rows["u"][0].as_py() == "ü"
    )
    assert (second["a"], second["f"], second["g"], second["h"]) == (None, "x", "y", None)
    assert rows.schema.field("h").type == pa.timestamp("us", tz=rows.schema.field("h").type.tz)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("insert into windows select * from windows", "only reads"),
        ("copy (select 1) to '{out}'", "only reads"),
        ("explain analyze copy (select 1) to '{out}'", "only reads"),
        ("create table x as select 1", "only reads"),
        ("set memory_limit = '1TB'", "only reads"),
        ("attach '{out}'", "only reads"),
        ("install httpfs", "only reads"),
        ("select 1; select 2", "2 statements"),
        ("select * from read_text('/etc/passwd')", "disabled by configuration"),
        ("select * from read_csv('{lake}/x.csv')", "disabled by configuration"),
        ("select * from glob('/etc/*')", "disabled by configuration"),
        ("select * from 'https://example.org/x.parquet'", "disabled by configuration"),
        ("select * from query('copy (select 1) to ''{out}''')", ""),
        ("select nope from windows", "nope"),
        ("select * from windws", 'Did you mean "windows"'),
        ("selec 1", "syntax error"),
        ("", ""),
    ],
)
def test_what_is_no_read_of_a_table_is_refused_in_one_line(
    stores: Stores, tmp_path: Path, statement: str, told: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InvalidQuery) as refused:
        sql.query(stores, statement.format(out=out, lake=stores.lake))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not out.exists()


def test_reading_forms_are_allowed(stores: Stores) -> None:
    for statement in (
        "explain select 1",
        "explain analyze from windows",
        "summarize faults",
        "show tables",
        "values (1)",
    ):
        assert sql.query(stores, statement).rows.num_rows >= 1


def test_a_row_limit_is_told(stores: Stores) -> None:
    cut = sql.query(stores, "from windows", max_rows=7)
    assert (cut.rows.num_rows, cut.truncated) == (7, True)
    exact = sql.query(stores, "from faults", max_rows=5)
    assert (exact.rows.num_rows, exact.truncated) == (5, False)


def test_a_time_limit_ends_the_query(stores: Stores) -> None:
    began = time.monotonic()
    with pytest.raises(LimitReached, match=r"ended after 0\.5 s"):
        sql.query(stores, "select sum(a.mean * b.mean) from windows a, windows b, windows c", timeout_seconds=0.5)
    assert time.monotonic() - began < 60


def test_the_lake_alone_is_enough(stores: Stores, nowhere: Stores, plant: Plant) -> None:
    alone = Stores(lake=stores.lake)
    assert one(alone, "select count(*) from windows") == len(plant.windows)
    with pytest.raises(StoreAway, match="machines is a Postgres table, and no Postgres is known"):
        sql.query(alone, "from machines")
    with pytest.raises(StoreAway, match=r"lake\.predictions is the lake's"):
        sql.query(alone, "from predictions")
    broken = Stores(lake=stores.lake, postgres_url=nowhere.postgres_url)
    assert one(broken, "select count(*) from windows") == len(plant.windows)
    with pytest.raises(StoreAway, match="does not answer") as refused:
        sql.query(broken, "from jobs")
    assert "secret-word" not in str(refused.value)


def test_postgres_alone_is_enough(stores: Stores, nowhere: Stores) -> None:
    alone = Stores(lake=nowhere.lake, postgres_url=stores.postgres_url)
    assert one(alone, "select count(*) from machines") == 6
    with pytest.raises(StoreAway, match="there is no lake"):
        sql.query(alone, "from windows")


def test_a_lake_table_that_nobody_wrote_is_empty(tmp_path: Path) -> None:
    assert one(Stores(lake=tmp_path), "select count(*) from windows") == 0


def test_a_database_without_tables_says_what_to_run(postgres_url: str, tmp_path: Path) -> None:
    with database(postgres_url) as url, pytest.raises(StoreAway, match="tidemill migrate"):
        sql.query(Stores(lake=tmp_path, postgres_url=url), "from jobs")


def test_the_catalog_lists_both(stores: Stores, nowhere: Stores) -> None:
    names = {str(table) for table in sql.catalog(stores).tables}
    assert {"lake.windows", "lake.predictions", "pg.predictions", "pg.jobs"} <= names
    assert set(sql.catalog(nowhere).away) == {"pg", "lake"}
