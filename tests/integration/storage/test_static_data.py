"""Static data from CSV files: every row or none, and each wrong one named."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from scoring.errors import InvalidInput
from storage.postgres.static_data import BadRows, Loaded, files_in, load
from storage.postgres.tables import machines, maintenance, sensors, sites

pytestmark = pytest.mark.stack

SITES = "site_id,name,country,latitude,longitude,time_zone\n"
MACHINES = "machine_id,site_id,model,rated_flow_m3h,rated_head_m,rated_power_kw,rated_speed_rpm,installed_on\n"
SENSORS = "sensor_id,machine_id,quantity,unit,low_limit,high_limit\n"
MAINTENANCE = "maintenance_id,machine_id,performed_at,kind,note\n"
PLANT = {
    "sites": SITES + "north,North,NO,59.9,10.7,Europe/Oslo\nsouth,South,,,,\n",
    "machines": MACHINES + "m1,north,X,60,48,15,2940,2013-09-14\n",
    "sensors": SENSORS + "m1/flow,m1,flow,m3/h,18,84\nm1/vibration,m1,vibration,mm/s,,7.1\n",
    "maintenance": MAINTENANCE + '1,m1,2025-02-24T12:00:00+01:00,bearing,"both,\nreplaced"\n',
}


def written(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def counts(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        tables = (sites, machines, sensors, maintenance)
        return [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in tables]


def problems(engine: sa.Engine, folder: Path) -> list[tuple[str, int, str | None, str | None]]:
    with pytest.raises(BadRows) as raised:
        load(engine, files_in([folder]))
    return [(Path(p.file).stem, p.line, p.field, p.found) for p in raised.value.problems]


def test_rows_are_inserted_then_unchanged_then_updated(engine: sa.Engine, tmp_path: Path) -> None:
    files = files_in([written(tmp_path, **PLANT)])
    assert [(one.table, one.inserted, one.updated, one.unchanged) for one in load(engine, files)] == [
        ("sites", 2, 0, 0), ("machines", 1, 0, 0), ("sensors", 2, 0, 0), ("maintenance", 1, 0, 0)
    ]  # fmt: skip
    assert [(one.inserted, one.updated, one.unchanged) for one in load(engine, files)] == [
        (0, 0, 2), (0, 0, 1), (0, 0, 2), (0, 0, 1)
    ]  # fmt: skip
    written(tmp_path, sensors=SENSORS + "m1/flow,m1,flow,m3/h,19,84\nm1/current,m1,motor_current,A,,\n")
    changed = load(engine, files_in([tmp_path / "sensors.csv"]))
    assert changed == [Loaded(table="sensors", file=str(tmp_path / "sensors.csv"), inserted=1, updated=1, unchanged=0)]
    with engine.connect() as connection:
        assert connection.execute(sa.select(sites.c.time_zone).where(sites.c.site_id == "south")).scalar_one() == "UTC"
        when, note = connection.execute(sa.select(maintenance.c.performed_at, maintenance.c.note)).one()
    assert (when.isoformat(), note) == ("2025-02-24T11:00:00+00:00", "both,\nreplaced")


def test_a_column_that_a_file_lacks_is_left_alone(engine: sa.Engine, tmp_path: Path) -> None:
    load(engine, files_in([written(tmp_path, **PLANT)]))
    written(tmp_path, sites="site_id,name\nnorth,New name\n")
    load(engine, files_in([tmp_path / "sites.csv"]))
    with engine.connect() as connection:
        row = connection.execute(sa.select(sites).where(sites.c.site_id == "north")).mappings().one()
    assert (row["name"], row["country"], row["time_zone"]) == ("New name", "NO", "Europe/Oslo")


def test_one_bad_row_anywhere_and_nothing_is_loaded(engine: sa.Engine, tmp_path: Path) -> None:
    written(tmp_path, **{**PLANT, "maintenance": PLANT["maintenance"] + "2,nix,2025-01-01T00:00:00Z,x,\n"})
    assert problems(engine, tmp_path) == [("maintenance", 4, "machine_id", "nix")]  # a quoted line break before it
    assert counts(engine) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "row", "field", "reason"),
    [
        ("sites", "s,,DE,1,2,UTC", "name", "a value is needed"),
        ("sites", "s,S,DE,91,2,UTC", "latitude", "-90 to 90"),
        ("sites", "s,S,DE,1,-181,UTC", "longitude", "-180 to 180"),
        ("sites", "s,S,DE,1,2,Mars/Olympus", "time_zone", "Europe/Berlin"),
        ("sites", "s,S,DE,1,2,../../etc/passwd", "time_zone", "Europe/Berlin"),
        ("sites", "north,again,DE,1,2,UTC", "site_id", "line 2 has it already"),
        ("sites", "s,S,DE,1", None, "has 4 cells, the header has 6"),
        ("machines", "m2,nix,X,1,1,1,1,2020-01-01", "site_id", "no such row in sites"),
        ("machines", "m2,north,X,abc,1,1,1,2020-01-01", "rated_flow_m3h", "number"),
        ("machines", "m2,north,X,1,0,1,1,2020-01-01", "rated_head_m", "greater than 0"),
        ("machines", "m2,north,X,1,1,nan,1,2020-01-01", "rated_power_kw", "finite"),
        ("machines", "m2,north,X,1,1,1,1,31.01.2020", "installed_on", "2026-01-31"),
        ("machines", "m2,north,X,1,1,1,1,2020-02-30", "installed_on", "2026-01-31"),
        ("sensors", "s2,m1,flow,m3/h,5,5", "low_limit", "below high_limit"),
        ("sensors", "s2,m1,flow,m3/h,5,1_0", "high_limit", "number"),
        ("maintenance", "2,m1,2025-01-01T00:00:00,x,", "performed_at", "no zone"),
        ("maintenance", "2,m1,yesterday,x,", "performed_at", "with its zone"),
    ],
)
def test_a_bad_row_is_named_with_field_and_reason(
    engine: sa.Engine, tmp_path: Path, name: str, row: str, field: str | None, reason: str
) -> None:
    written(tmp_path, **{**PLANT, name: PLANT[name] + row + "\n"})
    with pytest.raises(BadRows, match=reason) as raised:
        load(engine, files_in([tmp_path]))
    (problem,) = raised.value.problems
    assert (Path(problem.file).stem, problem.field) == (name, field)
    assert problem.line == PLANT[name].count("\n") + 1
    assert counts(engine) == [0, 0, 0, 0]


def test_every_bad_row_is_listed(engine: sa.Engine, tmp_path: Path) -> None:
    bad = SENSORS + "a,m1,flow,m3/h,5,2\nb,nix,flow,m3/h,0,x\nc\nok,m1,flow,m3/h,,\nd,m1,,bar,,\n"
    written(tmp_path, **{**PLANT, "sites": SITES + "north,North,NO,999,0,UTC\n", "sensors": bad})
    assert problems(engine, tmp_path) == [
        ("sites", 2, "latitude", "999"),
        ("sensors", 2, "low_limit", "5"),
        ("sensors", 3, "high_limit", "x"),
        ("sensors", 3, "machine_id", "nix"),
        ("sensors", 4, None, None),
        ("sensors", 6, "quantity", ""),
    ]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("site_id,name,colour\ns,S,red\n", 1, "colour: unknown column; sites has site_id"),
        ("site_id\ns\n", 1, "name: the column is missing"),
        ("site_id,name,name\ns,S,S\n", 1, "there twice"),
        ("", 1, "the column is missing"),
        (b"site_id,name\ns,S\nt,\xff\n", 3, "UTF-8"),
        ('site_id,name\ns,"S\n', 2, "no CSV"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    engine: sa.Engine, tmp_path: Path, content: str | bytes, line: int, reason: str
) -> None:
    with pytest.raises(BadRows, match=reason) as raised:
        load(engine, files_in([written(tmp_path, sites=content)]))
    assert raised.value.problems[0].line == line


def test_a_table_is_known_by_the_files_name_or_by_the_option(engine: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "Standorte.txt").write_bytes(b"\xef\xbb\xbf" + PLANT["sites"].encode())  # as spreadsheets save it
    assert load(engine, files_in([tmp_path / "Standorte.txt"], "sites"))[0].inserted == 2
    for paths, table, reason in (
        ([tmp_path / "Standorte.txt"], None, "Standorte is no table of static data; allowed are sites, machines"),
        ([tmp_path / "Standorte.txt"], "jobs", "jobs is no table"),
        ([tmp_path], None, "holds no .csv file"),
        ([tmp_path / "nix"], None, "no such file"),
        ([tmp_path / "Standorte.txt"] * 2, "sites", "2 were given"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            files_in(paths, table)


def test_the_example_plant_loads(engine: sa.Engine) -> None:
    plant = Path(__file__).parents[3] / "examples" / "plant"
    assert all(one.inserted > 0 for one in load(engine, files_in([plant])))
    assert all(one.unchanged > 0 and one.inserted + one.updated == 0 for one in load(engine, files_in([plant])))
