"""Recorded files -> readings, or one clear error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet
import pytest

from ingestion.errors import InvalidInput
from ingestion.reading import READING_SCHEMA
from ingestion.recording import Recording, RecordingSpec, read_recordings, shifted

WIDE = "datetime;Current;Volume Flow;anomaly\n2026-03-01 12:00:01;1.5;30;0.0\n2026-03-01 12:00:00;;31.25;1.0\n"
LONG = "time,sensor,value,unit\n2026-03-01 12:00:00,flow,30.5,m3/h\n2026-03-01 12:00:00,current,1.5,\n"


def read(folder: Path, text: str, name: str = "pump-7.csv", **options: Any) -> Recording:
    path = folder / name
    path.write_text(text, encoding=options.get("file_encoding", "utf8"))
    return read_recordings([path], RecordingSpec(**options))


def rows(recording: Recording) -> list[tuple[str, str, float, str | None, int]]:
    found = recording.readings.to_pylist()
    return [(r["sensor_id"], f"{r['event_time']:%H:%M:%S}", r["value"], r["unit"], r["sequence"]) for r in found]


def test_a_wide_file_gives_a_reading_a_cell_in_order_of_time_numbered_by_row(tmp_path: Path) -> None:
    found = read(tmp_path, WIDE, ignore=("anomaly",), units={"Current": "A"})
    assert found.readings.schema == READING_SCHEMA
    assert rows(found) == [
        ("pump-7/Volume Flow", "12:00:00", 31.25, None, 2),
        ("pump-7/Current", "12:00:01", 1.5, "A", 1),
        ("pump-7/Volume Flow", "12:00:01", 30.0, None, 1),
    ]
    assert found.empty == 1
    assert found.machines == ["pump-7"]


def test_a_long_file_gives_a_reading_a_row_with_its_unit(tmp_path: Path) -> None:
    found = read(tmp_path, LONG, units={"current": "A"}, machine_id="p1")
    assert rows(found) == [("p1/flow", "12:00:00", 30.5, "m3/h", 1), ("p1/current", "12:00:00", 1.5, "A", 2)]


def test_ignored_sensors_of_a_long_file_still_count_as_rows(tmp_path: Path) -> None:
    assert rows(read(tmp_path, LONG, ignore=("flow",))) == [("pump-7/current", "12:00:00", 1.5, None, 2)]


def test_columns_and_sensors_can_be_renamed(tmp_path: Path) -> None:
    wide = read(tmp_path, WIDE, ignore=("anomaly",), columns={"Volume Flow": "flow"}, units={"flow": "l/min"})
    assert [row[0] for row in rows(wide)] == ["pump-7/flow", "pump-7/Current", "pump-7/flow"]
    assert rows(wide)[0][3] == "l/min"
    assert rows(read(tmp_path, LONG, columns={"flow": "Q"}))[0][0] == "pump-7/Q"


def test_sensor_ids_that_name_their_machine_are_kept(tmp_path: Path) -> None:
    text = "event_time,machine_id,sensor_id,value\n2026-03-01T12:00:00Z,a,a/flow,1\n2026-03-01T12:00:01Z,b,b/flow,2\n"
    found = read(tmp_path, text)
    assert [row[0] for row in rows(found)] == ["a/flow", "b/flow"]
    assert found.machines == ["a", "b"]


@pytest.mark.parametrize(("delimiter", "name"), [(",", None), (";", None), ("\t", None), ("|", None), ("#", "#")])
def test_delimiters_are_found_or_given(tmp_path: Path, delimiter: str, name: str | None) -> None:
    text = f"time{delimiter}flow{delimiter}current\n2026-03-01 12:00:00{delimiter}1{delimiter}2\n"
    assert [row[2] for row in rows(read(tmp_path, text, delimiter=name))] == [1.0, 2.0]


def test_decimal_commas_other_encodings_and_byte_order_marks(tmp_path: Path) -> None:
    found = read(tmp_path, "time;Durchfluß\n2026-03-01 12:00:00;1,5\n", decimal=",", file_encoding="latin-1")
    assert rows(found) == [("pump-7/Durchfluß", "12:00:00", 1.5, None, 1)]
    assert rows(read(tmp_path, "\ufefftime;flow\n2026-03-01 12:00:00;1.5\n"))[0][2] == 1.5


def test_local_times_become_utc(tmp_path: Path) -> None:
    found = read(tmp_path, "time,flow\n2026-07-01 12:00:00,1\n", time_zone=ZoneInfo("Europe/Oslo"))
    assert found.readings.column("event_time")[0].as_py() == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_values_are_the_nearest_floats(tmp_path: Path) -> None:
    texts = ["0.1", "0.30000000000000004", "2.2250738585072011e-308", "9007199254740993", "-1.7976931348623157e308"]
    table = "time,v\n" + "".join(f"2026-03-01 12:00:0{number},{text}\n" for number, text in enumerate(texts))
    assert [row[2] for row in rows(read(tmp_path, table))] == [float(text) for text in texts]


@pytest.mark.parametrize("empty", ["", " ", "nan", "NaN", "NA", "null", "-"])
def test_cells_without_a_reading_are_left_out(tmp_path: Path, empty: str) -> None:
    found = read(tmp_path, f"time,a,b\n2026-03-01 12:00:00,{empty},2\n")
    assert [row[0] for row in rows(found)] == ["pump-7/b"]
    assert found.empty == 1


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Oslo"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_keeps_its_types(tmp_path: Path, zone: str | None, unit: str) -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    times = pa.array([moment, moment + timedelta(seconds=1)], pa.timestamp(unit, tz=zone or "UTC"))
    if zone is None:
        times = times.cast(pa.timestamp(unit))
    flow = pa.array([1.5, None], pa.float32())
    table = pa.table({"time": times, "flow": flow, "count": pa.array([1, 2], pa.int16()), "on": [True, False]})
    pa.parquet.write_table(table, tmp_path / "pump-7.parquet")
    found = read_recordings([tmp_path / "pump-7.parquet"], RecordingSpec())
    assert rows(found) == [
        ("pump-7/flow", "12:00:00", 1.5, None, 1),
        ("pump-7/count", "12:00:00", 1.0, None, 1),
        ("pump-7/on", "12:00:00", 1.0, None, 1),
        ("pump-7/count", "12:00:01", 2.0, None, 2),
        ("pump-7/on", "12:00:01", 0.0, None, 2),
    ]


def test_files_of_one_name_in_two_folders_are_two_machines(tmp_path: Path) -> None:
    for folder in ("valve1", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.csv").write_text("time,flow\n2026-03-01 12:00:00,1\n")
    (tmp_path / "2.csv").write_text("time,flow\n2026-03-01 11:00:00,1\n")
    paths = [tmp_path / "valve1" / "1.csv", tmp_path / "other" / "1.csv", tmp_path / "2.csv"]
    found = read_recordings(paths, RecordingSpec())
    assert found.machines == ["2", "other-1", "valve1-1"]
    assert found.readings.column("machine_id")[0].as_py() == "2"


def test_labels_that_only_some_files_have_can_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,flow,anomaly\n2026-03-01 12:00:00,1,0\n")
    (tmp_path / "b.csv").write_text("time,flow\n2026-03-01 12:00:00,1\n")
    found = read_recordings([tmp_path / "a.csv", tmp_path / "b.csv"], RecordingSpec(ignore=("anomaly",)))
    assert found.readings.num_rows == 2


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("time,flow\n2026-03-01 12:00:00,1\n2026-03-01 12:00:01,x\n", {}, "row 2: column 'flow': 'x' is no number"),
        ("time,flow\n2026-03-01 12:00:00,1\nnever,1\n", {}, "row 2: column 'time': 'never' is no usable time"),
        ("time,flow\n,1\n", {}, "row 1: column 'time': '' is no usable time"),
        ("time,flow\n2026-03-01 12:00:00,1\n2026-03-01 12:00:01\n", {}, "row 2: 1 cells found, the header has 2"),
        ("time;flow\n2026-03-01 12:00:00;1,5\n", {}, "for a decimal comma give --decimal ,"),
        ("time,flow\n2026-03-01 12:00:00,1e999\n", {}, "row 1: column 'flow': 1e999 is not finite"),
        ("time,flow\n2026-03-01 12:00:00,inf\n", {}, "'inf' is no number"),
        ("time,flow,flow\n2026-03-01 12:00:00,1,2\n", {}, "column 'flow' appears twice"),
        (
            "when,flow\n2026-03-01 12:00:00,1\n",
            {},
            "no time column .* the file has when, flow; name it with --time-col",
        ),
        ("time,flow\n2026-03-01 12:00:00,1\n", {"time_column": "t"}, "no time column \\('t'\\)"),
        ("time,flow\n2026-03-01 12:00:00,1\n", {"layout": "long"}, "no sensor column"),
        ("time,flow\n2026-03-01 12:00:00,1\n", {"ignore": ("flow",)}, "no column left to send"),
        ("time,flow\n2026-03-01 12:00:00,1\n", {"ignore": ("label",)}, "no file has a column or sensor 'label'"),
        ("time,flow\n2026-03-01 12:00:00,1\n", {"units": {"flux": "m3/h"}}, "column or sensor 'flux'; there are flow"),
        ("time,sensor,value\n2026-03-01 12:00:00,,1\n", {}, "row 1: column 'sensor' is empty"),
        ("time,machine_id,flow\n2026-03-01 12:00:00,,1\n", {}, "row 1: column 'machine_id' is empty"),
        ("time,flow\n2026-03-29 02:30:00,1\n", {"time_zone": ZoneInfo("Europe/Oslo")}, "no such local time in Europe"),
        ("time,flow\n", {}, "holds no rows"),
        ("", {}, "cannot be read"),
    ],
)
def test_bad_files_are_refused_with_place_and_mend(
    tmp_path: Path, text: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        read(tmp_path, text, **options)
    assert str(refused.value).startswith("no recording was taken: ")


def test_every_file_is_checked_and_the_first_problems_are_told(tmp_path: Path) -> None:
    bad = "time,flow\n" + "2026-03-01 12:00:00,x\n" * 8
    (tmp_path / "a.csv").write_text(bad)
    (tmp_path / "b.csv").write_text("time,flow\n2026-03-01 12:00:00,1\n")
    with pytest.raises(InvalidInput) as refused:
        read_recordings([tmp_path / name for name in ("a.csv", "b.csv", "c.csv")], RecordingSpec())
    text = str(refused.value)
    assert text.count("is no number") == 5
    assert "and 4 more" in text


def test_a_row_number_is_the_files_also_behind_ignored_rows(tmp_path: Path) -> None:
    text = "time,sensor,value\n2026-03-01 12:00:00,label,yes\n2026-03-01 12:00:00,flow,x\n"
    with pytest.raises(InvalidInput, match="row 2: column 'value': 'x'"):
        read(tmp_path, text, ignore=("label",))


def test_a_recording_can_be_moved_in_time(tmp_path: Path) -> None:
    moved = shifted(read(tmp_path, WIDE, ignore=("anomaly",)), datetime(2027, 1, 1, tzinfo=UTC))
    times = moved.readings.column("event_time").to_pylist()
    assert times[0] == datetime(2027, 1, 1, tzinfo=UTC)
    assert times[-1] - times[0] == timedelta(seconds=1)
    assert moved.readings.schema == READING_SCHEMA
