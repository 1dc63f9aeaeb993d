"""What is known about the plant, from CSV files into Postgres: every row of every file, or none.

The columns, their types and what they refer to are those of `tables`; what is checked beyond is in `_RANGES`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from scoring.errors import InvalidInput
from storage.postgres.engine import transaction
from storage.postgres.tables import machines, maintenance, sensors, sites

TABLES: Mapping[str, sa.Table] = {table.name: table for table in (sites, machines, sensors, maintenance)}
"""In the order of their references: what is referred to comes first."""


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A file to load into a table of `TABLES`."""

    path: Path
    table: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong: `line` counts from 1, the header's; `field` is None where the whole line is meant."""

    file: str
    line: int
    field: str | None
    found: str | None
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" + (f": {self.field}" if self.field else "")
        found = "" if self.found is None else f"{_shortened(self.found)} found; "
        return f"{place}: {found}{self.reason}"


class BadRows(InvalidInput):
    """Nothing was loaded; `problems` lists every bad row of every file, in order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = len({(problem.file, problem.line) for problem in problems})
        head = f"nothing was loaded, {lines} {'line is' if lines == 1 else 'lines are'} wrong:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))
        self.problems = tuple(problems)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of a file's rows."""

    table: str
    file: str
    inserted: int
    updated: int
    unchanged: int


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    """`rows` have their line and, of a bad row, what could be read of it; `keys` the first line that has each."""

    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)


def files_in(paths: Sequence[Path], table: str | None = None) -> list[CsvFile]:
    """The CSV files that `paths` (files and folders) name; a file's table is `table`, else its own name without `.csv`.

    Raises InvalidInput for what does not exist, and for a file whose name is no table's.
    """
    listed: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(child for child in path.glob("*.csv") if not child.name.startswith("."))
            if not inside:
                raise InvalidInput(f"the folder holds no .csv file; wanted are {_wanted_files()}", place=str(path))
            listed += inside
        elif path.is_file():
            listed.append(path)
        else:
            raise InvalidInput("there is no such file or folder", place=str(path))
    if table is not None and len(listed) != 1:
        raise InvalidInput(f"--table names the table of one file, and {len(listed)} were given")
    chosen = [CsvFile(path=path, table=table or path.stem) for path in listed]
    for file in chosen:
        if file.table not in TABLES:
            raise InvalidInput(
                f"{file.table} is no table of static data; allowed are {', '.join(TABLES)}", place=str(file.path)
            )
    order = list(TABLES)
    return sorted(chosen, key=lambda file: order.index(file.table))


def load(engine: Engine, files: Sequence[CsvFile]) -> list[Loaded]:
    """Check every row, then insert or update them all in one transaction. A column that a file lacks is left alone.

    Raises BadRows, with nothing changed, and TryAgain while the database is away.
    """
    order = list(TABLES)
    parsed = [(file, _parse(file)) for file in sorted(files, key=lambda file: order.index(file.table))]
    with transaction(engine) as connection:
        known: dict[str, set[str]] = {}
        problems: list[Problem] = []
        for file, content in parsed:
            problems += sorted(
                content.problems + list(_dangling(connection, file, content, known)), key=lambda problem: problem.line
            )
        if problems:
            raise BadRows(problems)
        return [_upsert(connection, file, content) for file, content in parsed]


def _parse(file: CsvFile) -> _Parsed:
    """The rows of a file, by line, and all that is wrong without looking at the database."""
    table, name = TABLES[file.table], str(file.path)
    text, problem = _text(file.path)
    if problem is not None:
        return _Parsed(problems=[problem])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        wrong = list(_check_header(table, header, name))
        if wrong:
            return _Parsed(problems=wrong)
        parsed = _Parsed(columns=tuple(header))
        while True:
            line = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return parsed
            if cells:  # an empty line is no row
                _parse_row(table, header, cells, line, name, parsed)
    except csv.Error as error:
        return _Parsed(problems=[Problem(
            file=name, line=reader.line_num, field=None, found=None, reason=f"this is no CSV: {error}"
        )])  # fmt: skip


def _parse_row(table: sa.Table, header: list[str], cells: list[str], line: int, name: str, parsed: _Parsed) -> None:
    def bad(column: str | None, found: str | None, reason: str) -> None:
        parsed.problems.append(Problem(file=name, line=line, field=column, found=found, reason=reason))

    if len(cells) != len(header):
        bad(None, None, f"the row has {len(cells)} cells, the header has {len(header)}")
        return
    row: dict[str, Any] = {}
    for column, cell in zip(header, cells, strict=True):
        try:
            row[column] = _value(table.c[column], cell.strip())
        except ValueError as error:
            bad(column, cell, str(error))
    low, high = row.get("low_limit"), row.get("high_limit")
    if low is not None and high is not None and low >= high:
        bad("low_limit", f"{low:g}", f"it must be below high_limit, which is {high:g}")
    (key,) = (column.name for column in table.primary_key.columns)
    if key in row:
        first = parsed.keys.setdefault(row[key], line)
        if first != line:
            bad(key, row[key], f"line {first} has it already")
    parsed.rows.append((line, row))


def _check_header(table: sa.Table, header: list[str], name: str) -> Iterator[Problem]:
    columns = [column.name for column in table.columns]
    for column in header:
        if column not in columns:
            reason = f"unknown column; {table.name} has {', '.join(columns)}"
            yield Problem(file=name, line=1, field=column or None, found=None, reason=reason)
    for column in sorted({column for column in header if header.count(column) > 1}):
        yield Problem(file=name, line=1, field=column, found=None, reason="the column is there twice")
    for required in table.columns:
        if not required.nullable and required.server_default is None and required.name not in header:
            yield Problem(file=name, line=1, field=required.name, found=None, reason="the column is missing")


def _value(column: sa.Column[Any], cell: str) -> Any:
    """The cell as the column holds it. Raises ValueError with the reason."""
    if not cell:
        if column.nullable:
            return None
        if column.server_default is not None:
            return str(column.server_default.arg)  # type: ignore[attr-defined]
        raise ValueError("a value is needed")
    value = _PARSERS[type(column.type)](cell)
    for applies, holds, reason in _RANGES:
        if applies(column.name) and not holds(value):
            raise ValueError(reason)
    return value


def _plain_text(cell: str) -> str:
    if "\0" in cell:
        raise ValueError("a text must not hold NUL characters")
    return cell


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ValueError("a number is wanted, such as 12.5") from None
    if not math.isfinite(value) or "_" in cell:
        raise ValueError("a finite number is wanted, such as 12.5")
    return value


def _day(cell: str) -> date:
    try:
        return date.fromisoformat(cell)
    except ValueError:
        raise ValueError("a date is wanted, such as 2026-01-31") from None


def _moment(cell: str) -> datetime:
    try:
        value = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError("a time with its zone is wanted, such as 2026-01-31T08:00:00Z") from None
    if value.tzinfo is None:
        raise ValueError("the time has no zone; write it like 2026-01-31T08:00:00Z or +01:00")
    return value.astimezone(UTC)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


_PARSERS: Mapping[type, Callable[[str], Any]] = {
    sa.Text: _plain_text,
    sa.Float: _number,
    sa.Date: _day,
    sa.DateTime: _moment,
}

_RANGES: tuple[tuple[Callable[[str], bool], Callable[[Any], bool], str], ...] = (
    (lambda c: c == "time_zone", _is_zone, "a time zone's name is wanted, such as Europe/Berlin"),
    (lambda c: c == "latitude", lambda v: -90 <= v <= 90, "allowed are -90 to 90"),
    (lambda c: c == "longitude", lambda v: -180 <= v <= 180, "allowed are -180 to 180"),
    (lambda c: c.startswith("rated_"), lambda v: v > 0, "it must be greater than 0"),
)


def _dangling(connection: Connection, file: CsvFile, content: _Parsed, known: dict[str, set[str]]) -> Iterator[Problem]:
    """Rows that refer to what is neither stored nor in the files; and remembers this file's own keys."""
    table = TABLES[file.table]
    for column in table.columns:
        for reference in column.foreign_keys:
            other = reference.column.table
            if other.name not in known:
                known[other.name] = set(connection.execute(sa.select(reference.column)).scalars())
            for line, row in content.rows:
                if column.name in row and row[column.name] not in known[other.name]:
                    reason = f"no such row in {other.name}"
                    yield Problem(
                        file=str(file.path), line=line, field=column.name, found=row[column.name], reason=reason
                    )
    (key,) = table.primary_key.columns
    if table.name not in known:
        known[table.name] = set(connection.execute(sa.select(key)).scalars())
    # the keys of bad rows too: what refers to them is not wrong itself
    known[table.name].update(content.keys)


def _upsert(connection: Connection, file: CsvFile, content: _Parsed) -> Loaded:
    table = TABLES[file.table]
    statement = insert(table)
    keys = [column.name for column in table.primary_key.columns]
    others = [column for column in content.columns if column not in keys]
    # a row that says what is stored already is not written again, and so is not returned
    differs = sa.or_(*(table.c[c].is_distinct_from(statement.excluded[c]) for c in others))
    upsert = statement.on_conflict_do_update(
        index_elements=keys, set_={column: statement.excluded[column] for column in others}, where=differs
    )
    # xmax is 0 in a row version that no transaction replaced: this one inserted it
    fresh = sa.literal_column("xmax = 0", sa.Boolean).label("fresh")
    rows = sorted((row for _, row in content.rows), key=lambda row: [row[key] for key in keys])
    written = list(connection.execute(upsert.returning(fresh), rows).scalars()) if rows else []
    return Loaded(
        table=file.table,
        file=str(file.path),
        inserted=sum(written),
        updated=len(written) - sum(written),
        unchanged=len(rows) - len(written),
    )


def _text(path: Path) -> tuple[str, Problem | None]:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig"), None
    except OSError as error:
        return "", Problem(
            file=str(path), line=1, field=None, found=None, reason=f"it cannot be read: {error.strerror}"
        )
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        return "", Problem(file=str(path), line=line, field=None, found=found, reason="the file must be UTF-8")


def _shortened(text: str, limit: int = 60) -> str:
    shown = repr(text)
    return shown if len(shown) <= limit else shown[:limit] + "…"


def _wanted_files() -> str:
    return ", ".join(f"{name}.csv" for name in TABLES)
