"""Recorded CSV or Parquet logs -> readings, checked whole: one wrong cell refuses all files, naming it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ingestion.codec import EPOCH, MAX_ID_LENGTH
from ingestion.errors import InvalidInput
from ingestion.local_time import localize, parse_times
from ingestion.reading import READING_SCHEMA

Layout = Literal["auto", "wide", "long"]

_TIME_NAMES = ("event_time", "datetime", "timestamp", "time", "date", "ts")
_SENSOR_NAMES = ("sensor_id", "sensor", "tag", "quantity", "signal", "name")
_VALUE_NAMES = ("value", "reading", "measurement")
_DELIMITERS = (",", ";", "\t", "|")
_EMPTY = ("", "nan", "na", "n/a", "null", "none", "-")
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_MOST_PROBLEMS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingSpec:
    """How recordings are read.

    layout         wide: a column a sensor; long: a row a reading; auto: long where there are sensor and value columns
    machine_id     of every row; None: the file's `machine_id` column, else its name without ending
    time_column, sensor_column, value_column   None: the first of the usual names
    time_zone      of times that are written without one
    time_format    None: ISO 8601; a strptime pattern; epoch, epoch_ms or epoch_us
    delimiter      of CSV; None: the one that the header has most of
    decimal        mark of CSV numbers, `.` or `,`
    columns        renames: column (wide) or sensor (long) -> quantity
    units          unit by column, sensor or quantity
    ignore         columns (wide) or sensors (long) that are not sent, such as labels
    """

    layout: Layout = "auto"
    machine_id: str | None = None
    time_column: str | None = None
    sensor_column: str | None = None
    value_column: str | None = None
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    time_format: str | None = None
    delimiter: str | None = None
    decimal: str = "."
    file_encoding: str = "utf8"
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Readings of one or more files (READING_SCHEMA), in order of event time. `empty` cells held no reading."""

    readings: pa.Table
    empty: int

    @property
    def machines(self) -> list[str]:
        return sorted(self.readings.column("machine_id").unique().to_pylist())


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. `row` counts data rows from 1, or is None for the whole file."""

    path: Path
    row: int | None
    text: str

    def __str__(self) -> str:
        where = f"{self.path}, row {self.row}" if self.row is not None else str(self.path)
        return f"{where}: {self.text}"


class _Refused(Exception):
    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(str(problems[0]))
        self.problems = problems


def read_recordings(paths: Sequence[Path], spec: RecordingSpec) -> Recording:
    """All files as one recording. Raises InvalidInput naming file, row, column, what was found and the mend.

    `sequence` is the number of the data row in its file, from 1. Rows of the same instant keep their order.
    """
    names = machine_names(paths)
    tables: list[pa.Table] = []
    problems: list[Problem] = []
    empty = 0
    known: set[str] = set()
    for path in paths:
        try:
            table, left_out, found = _read(path, spec, names[path])
        except _Refused as refused:
            problems += refused.problems
        else:
            tables.append(table)
            empty += left_out
            known |= found
    if problems:
        told = "; ".join(str(problem) for problem in problems[:_MOST_PROBLEMS])
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise InvalidInput(f"no recording was taken: {told}{more}")
    unknown = sorted(({*spec.columns, *spec.ignore, *spec.units} - known) - set(spec.columns.values()))
    if unknown:
        raise InvalidInput(
            f"no recording was taken: no file has a column or sensor {unknown[0]!r}; "
            f"there are {', '.join(sorted(known))}"
        )
    joined = pa.concat_tables(tables)
    order = np.argsort(_microseconds(joined.column("event_time")), kind="stable")
    return Recording(readings=joined.take(pa.array(order)), empty=empty)


def machine_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Machine id by file: its name without ending; with its folder's where two files would be the same machine."""
    stems = Counter(path.stem for path in paths)
    names = {
        path: path.stem if stems[path.stem] == 1 else f"{path.resolve().parent.name}-{path.stem}" for path in paths
    }
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise InvalidInput(f"two files would be machine {twice[0]!r}; rename one, or give --machine-id")
    return names


def shifted(recording: Recording, first_event: datetime) -> Recording:
    """The same readings moved in time, so that the first is at `first_event`."""
    times = _microseconds(recording.readings.column("event_time"))
    by = (first_event - EPOCH) // timedelta(microseconds=1) - int(times[0])
    column = pa.array(times + by, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    place = READING_SCHEMA.get_field_index("event_time")
    return Recording(
        readings=recording.readings.set_column(place, READING_SCHEMA.field(place), column), empty=recording.empty
    )


def _read(path: Path, spec: RecordingSpec, name: str) -> tuple[pa.Table, int, set[str]]:
    try:
        table = _load(path, spec)
    except FileNotFoundError:
        raise _Refused([Problem(path, None, "there is no such file")]) from None
    except (pa.ArrowInvalid, OSError, UnicodeError) as error:
        raise _Refused([Problem(path, None, f"cannot be read: {str(error).splitlines()[0]}")]) from error
    twice = [column for column, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise _Refused([Problem(path, None, f"column {twice[0]!r} appears twice; rename one")])
    if table.num_rows == 0:
        raise _Refused([Problem(path, None, "holds no rows")])
    reader = _Reader(path, spec, table, spec.machine_id or name)
    readings, empty = reader.long() if reader.is_long() else reader.wide()
    return readings, empty, set(reader.names)


def _load(path: Path, spec: RecordingSpec) -> pa.Table:
    if path.suffix.lower() in (".parquet", ".pq"):
        return pyarrow.parquet.read_table(path)
    with path.open(encoding="utf-8-sig" if spec.file_encoding == "utf8" else spec.file_encoding, newline="") as file:
        header = file.readline()
    delimiter = spec.delimiter or max(_DELIMITERS, key=header.count)
    broken: list[Problem] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        text = f"{row.actual_columns} cells found, the header has {row.expected_columns}; mend the row"
        broken.append(Problem(path, row.number - 1 if row.number is not None else None, text))
        return "skip"

    names = [
        column.name
        for column in pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(use_threads=False, encoding=spec.file_encoding),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=lambda row: "skip"),
        ).schema
    ]
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, encoding=spec.file_encoding),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note),
        # all as text: only so can an error name the row and what was found there
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    if broken:
        raise _Refused(broken)
    return table


class _Reader:
    """One file's table, and the problems found in it."""

    def __init__(self, path: Path, spec: RecordingSpec, table: pa.Table, machine_id: str) -> None:
        self.path = path
        self.spec = spec
        self.table = table
        self.machine_id = machine_id
        self.problems: list[Problem] = []
        self.names: list[str] = []
        """What may be renamed, ignored or given a unit: columns (wide) or sensors (long)."""
        self.rows = np.arange(1, table.num_rows + 1)
        """Number of each row in the file, from 1: rows that are ignored are counted."""

    def is_long(self) -> bool:
        if self.spec.layout != "auto":
            return self.spec.layout == "long"
        return self._named(self.spec.sensor_column, _SENSOR_NAMES) is not None and (
            self._named(self.spec.value_column, _VALUE_NAMES) is not None
        )

    def wide(self) -> tuple[pa.Table, int]:
        time_name = self._needed("time", self.spec.time_column, _TIME_NAMES, "--time-column")
        self.names = self.table.column_names
        taken = {time_name, "machine_id", *self.spec.ignore}
        names = [column for column in self.table.column_names if column not in taken]
        if not names:
            self._refuse("no column left to send; it has only the time and what is ignored")
        time_us = self._times(time_name, None)
        values = np.stack([self._numbers(name) for name in names], axis=1)
        self._stop_if_wrong()
        rows = np.repeat(np.arange(self.table.num_rows), len(names))
        quantities = [self.spec.columns.get(name, name) for name in names]
        units = [self.spec.units.get(name, self.spec.units.get(to)) for name, to in zip(names, quantities, strict=True)]
        machines = self._machines()
        sensor = np.tile(np.arange(len(names)), self.table.num_rows)
        return self._readings(rows, time_us, values.reshape(-1), machines, sensor, quantities, units)

    def long(self) -> tuple[pa.Table, int]:
        time_name = self._needed("time", self.spec.time_column, _TIME_NAMES, "--time-column")
        sensor_name = self._needed("sensor", self.spec.sensor_column, _SENSOR_NAMES, "--sensor-column")
        value_name = self._needed("value", self.spec.value_column, _VALUE_NAMES, "--value-column")
        codes, names = pd.factorize(pd.Series(self._text(sensor_name)))
        self.names = [str(name) for name in names]
        kept = ~np.isin(np.asarray(names, dtype=object), list(self.spec.ignore))[codes]
        if not kept.all():
            self.table = self.table.filter(pa.array(kept))
            self.rows, codes = self.rows[kept], codes[kept]
        for row in np.flatnonzero(np.asarray([not name for name in names])[codes])[:_MOST_PROBLEMS]:
            self._note(int(row), f"column {sensor_name!r} is empty; name the sensor")
        time_us = self._times(time_name, codes.astype(np.int64))
        values = self._numbers(value_name)
        self._stop_if_wrong()
        machines = self._machines()
        quantities = [self.spec.columns.get(name, name) for name in names]
        units = [self.spec.units.get(name, self.spec.units.get(to)) for name, to in zip(names, quantities, strict=True)]
        rows = np.arange(self.table.num_rows)
        return self._readings(rows, time_us, values, machines, codes, quantities, units)

    def _readings(
        self,
        rows: np.ndarray,
        time_us: np.ndarray,
        values: np.ndarray,
        machines: list[str],
        sensor: np.ndarray,
        quantities: Sequence[str],
        units: Sequence[str | None],
    ) -> tuple[pa.Table, int]:
        made = ~np.isnan(values)
        rows, sensor = rows[made], sensor[made]
        machine_of = np.asarray(machines, dtype=object)[rows]
        quantity_of = np.asarray(quantities, dtype=object)[sensor]
        prefixed = [
            quantity if str(quantity).startswith(f"{machine}/") else f"{machine}/{quantity}"
            for machine, quantity in zip(machine_of, quantity_of, strict=True)
        ]
        unit_of = np.asarray(units, dtype=object)[sensor]
        if "unit" in self.table.column_names and self.is_long():
            written = np.asarray(self._text("unit"), dtype=object)[rows]
            unit_of = np.where(written == "", unit_of, written)
        table = pa.table(
            [
                pa.array(machine_of, pa.string()),
                pa.array(prefixed, pa.string()),
                pa.array(time_us[rows], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
                pa.array(values[made], pa.float64()),
                pa.array(unit_of, pa.string()),
                pa.array(self.rows[rows], pa.int64()),
            ],
            schema=READING_SCHEMA,
        )
        return table, int(len(values) - made.sum())

    def _machines(self) -> list[str]:
        if self.spec.machine_id is None and "machine_id" in self.table.column_names:
            found = self._text("machine_id")
        else:
            found = [self.machine_id] * self.table.num_rows
        for row, name in enumerate(found):
            if not name or len(name) > MAX_ID_LENGTH:
                self._note(row, f"column 'machine_id' is {'empty' if not name else 'too long'}; give --machine-id")
        self._stop_if_wrong()
        return found

    def _times(self, name: str, series: np.ndarray | None) -> np.ndarray:
        column = self.table.column(name)
        if pa.types.is_timestamp(column.type):
            return self._timestamps(column, name, series)
        parsed = parse_times(
            pd.Series(self._text(name), dtype="str"),
            zone=self.spec.time_zone,
            time_format=self.spec.time_format,
            series=series,
        )
        for problem in parsed.problems:
            self._note(problem.index, f"column {name!r}: {problem.found!r} is no usable time; {problem.mend}")
        return parsed.time_us

    def _timestamps(self, column: pa.ChunkedArray, name: str, series: np.ndarray | None) -> np.ndarray:
        for row in np.flatnonzero(column.is_null().to_numpy()):
            self._note(int(row), f"column {name!r} is empty; every row needs a time")
        self._stop_if_wrong()
        if column.type.tz is not None:
            return _microseconds(pc.cast(column, pa.timestamp("us", tz="UTC"), safe=False))
        parsed = localize(
            _microseconds(pc.cast(column, pa.timestamp("us"), safe=False)), zone=self.spec.time_zone, series=series
        )
        for problem in parsed.problems:
            self._note(problem.index, f"column {name!r}: {problem.found!r} is no usable time; {problem.mend}")
        return parsed.time_us

    def _numbers(self, name: str) -> np.ndarray:
        """The column as floats, NaN where there is no reading."""
        column = self.table.column(name)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            return self._finite(name, pc.cast(column, pa.float64(), safe=False).to_numpy(), None)
        if pa.types.is_boolean(column.type):
            return np.asarray(pc.cast(column, pa.int8()).to_numpy(), dtype=np.float64)
        text = pc.utf8_trim_whitespace(pa.array(self._text(name), pa.string()))
        empty = pc.is_in(pc.utf8_lower(text), value_set=pa.array(_EMPTY))
        if self.spec.decimal != ".":
            text = pc.replace_substring(text, self.spec.decimal, ".")
        usable = pc.match_substring_regex(text, _NUMBER)
        wrong = pc.and_(pc.invert(usable), pc.invert(empty)).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(wrong):
            found = text[int(row)].as_py()
            hint = "; for a decimal comma give --decimal ," if re.fullmatch(r"[+-]?\d+,\d+", found) else ""
            self._note(
                int(row), f"column {name!r}: {found!r} is no number; write a number, or leave it out by --ignore{hint}"
            )
        numbers = pc.cast(pc.if_else(usable, text, pa.scalar(None, pa.string())), pa.float64())
        return self._finite(name, numbers.to_numpy(zero_copy_only=False), text)

    def _finite(self, name: str, values: np.ndarray, text: pa.Array | None) -> np.ndarray:
        for row in np.flatnonzero(np.isinf(values)):
            found = text[int(row)].as_py() if text is not None else values[row]
            self._note(int(row), f"column {name!r}: {found} is not finite; leave the cell empty")
        return values

    def _text(self, name: str) -> list[str]:
        column = self.table.column(name)
        if not pa.types.is_string(column.type):
            column = pc.cast(column, pa.string())
        return ["" if value is None else value for value in column.to_pylist()]

    def _named(self, wanted: str | None, usual: Sequence[str]) -> str | None:
        if wanted is not None:
            return wanted if wanted in self.table.column_names else None
        by_lower = {column.lower(): column for column in reversed(self.table.column_names)}
        return next((by_lower[name] for name in usual if name in by_lower), None)

    def _needed(self, what: str, wanted: str | None, usual: Sequence[str], option: str) -> str:
        found = self._named(wanted, usual)
        if found is None:
            columns = ", ".join(self.table.column_names)
            looked = repr(wanted) if wanted is not None else f"any of {', '.join(usual)}"
            self._refuse(f"no {what} column ({looked}); the file has {columns}; name it with {option}")
        return str(found)

    def _note(self, index: int, text: str) -> None:
        self.problems.append(Problem(self.path, int(self.rows[index]), text))

    def _refuse(self, text: str) -> None:
        raise _Refused([Problem(self.path, None, text)])

    def _stop_if_wrong(self) -> None:
        if self.problems:
            raise _Refused(sorted(self.problems, key=lambda problem: problem.row or 0))


def _microseconds(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)
