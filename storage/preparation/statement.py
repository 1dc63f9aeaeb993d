"""The one SELECT of a definition: its joins, derived columns and filter over a batch, bound and typed before it runs.

An expression that cannot be computed for a row is NULL there (TRY): a cast that fails, a division by zero, an infinite
or absurd number. A filter that is NULL is not true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from ingestion.definition import StaticJoin, StreamDefinition, message_columns
from ingestion.definition_document import Bound
from ingestion.definition_problems import FieldPath, shown_path
from ingestion.errors import InvalidInput
from ingestion.intake import LARGEST_VALUE
from storage.inputs.static_tables import JOINABLE, arrow_schema
from storage.preparation.expressions import WrongExpression, connection, normalized

BATCH = "readings"
ROW = "#row"

_NUMBERS = ("DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "UHUGEINT", "UBIGINT")
_INTEGERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UINTEGER", "USMALLINT", "UTINYINT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """`sql` reads the tables BATCH and those of `static_name`, and gives `columns` and ROW."""

    sql: str
    columns: pa.Schema


def static_name(table: str) -> str:
    """What a static table is called in the statement."""
    return f"static_{table}"


def key_of(join: StaticJoin) -> str:
    """The column of a static table by which it is joined."""
    (column,) = JOINABLE[join.table].primary_key.columns
    return str(column.name)


def static_schema(table: str) -> pa.Schema:
    return arrow_schema(JOINABLE[table])


def bind(
    columns: pa.Schema, joins: Sequence[StaticJoin], derived: Mapping[str, str], condition: str | None, /
) -> Bound:
    """The `Binder` of definitions, on tables without rows: no database and no broker is needed."""
    with connection() as database:
        binder = _Binder(columns, database)
        binder.read(joins, derived, condition)
        return Bound(binder.columns, binder.problems)


def statement_of(definition: StreamDefinition) -> Statement:
    """The SELECT of a definition. Raises InvalidInput where a join or an expression is wrong."""
    with connection() as database:
        binder = _Binder(message_columns(definition.fields), database)
        binder.read(definition.joins, definition.derived, definition.filter)
    if binder.problems:
        raise InvalidInput("\n".join(f"{shown_path(path)}: {message}" for path, message in binder.problems))
    named = ", ".join(f'"{name}"' for name in (*binder.columns.names, ROW))
    return Statement(sql=f"select {named} from ({binder.source})", columns=binder.columns)  # noqa: S608


class _Binder:
    def __init__(self, columns: pa.Schema, database: duckdb.DuckDBPyConnection) -> None:
        self.database = database
        self.problems: list[tuple[FieldPath, str]] = []
        self.columns = columns
        database.register(BATCH, self.columns.append(pa.field(ROW, pa.int64())).empty_table())
        self.source = f'select * from "{BATCH}"'  # noqa: S608

    def read(self, joins: Sequence[StaticJoin], derived: Mapping[str, str], condition: str | None) -> None:
        for number, join in enumerate(joins):
            self._join(join, ("join", number))
        for name, text in derived.items():
            self._derive(name, text)
        if condition is not None:
            self._filter(condition)

    def _join(self, join: StaticJoin, path: FieldPath) -> None:
        if join.table not in JOINABLE:
            self._refuse((*path, "table"), f"found '{join.table}', allowed: {', '.join(JOINABLE)}")
            return
        schema, key = static_schema(join.table), key_of(join)
        unknown = [column for column in join.columns if column not in schema.names]
        for column in unknown:
            told = f"table {join.table} has no column '{column}'; it has {', '.join(schema.names)}"
            self._refuse((*path, "columns", column), told)
        place = self.columns.get_field_index(join.on)
        if place < 0 or self.columns.field(place).type != pa.string():
            self._refuse((*path, "on"), f"'{join.on}' is no text column; {join.table} is looked up by its {key}")
            return
        self.database.register(static_name(join.table), schema.empty_table())
        taken = {column: name for column, name in join.columns.items() if column not in unknown}
        columns = "".join(f', s."{column}" as "{name}"' for column, name in taken.items())
        on = f'r."{join.on}" = s."{key}"'
        self.source = f'select r.*{columns} from ({self.source}) r left join "{static_name(join.table)}" s on {on}'  # noqa: S608
        for column, name in taken.items():
            self.columns = self.columns.append(pa.field(name, schema.field(column).type))

    def _derive(self, name: str, text: str) -> None:
        path = ("derived", name)
        found = self._typed(text, path)
        if found is None:
            return
        expression, kind = found
        base = kind.partition("(")[0]
        if base in _INTEGERS:
            sql, arrow = f"try(cast({expression} as bigint))", pa.int64()
        elif base in _NUMBERS:
            # infinite, NaN (greater than all) and what would overflow a sum of squares
            number = f"try(cast({expression} as double))"
            sql, arrow = f"case when abs({number}) <= {LARGEST_VALUE!r} then {number} end", pa.float64()
        elif base == "VARCHAR":
            sql, arrow = f"try({expression})", pa.string()
        elif base == "BOOLEAN":
            sql, arrow = f"try({expression})", pa.bool_()
        else:
            self._refuse(path, f"the expression is a {kind}; a column is a number, text or true and false: cast it")
            return
        self.source = f'select *, {sql} as "{name}" from ({self.source})'  # noqa: S608
        self.columns = self.columns.append(pa.field(name, arrow))

    def _filter(self, text: str) -> None:
        found = self._typed(text, ("filter",))
        if found is None:
            return
        expression, kind = found
        if kind != "BOOLEAN":
            self._refuse(("filter",), f"the expression is a {kind}; a filter is true or false")
            return
        self.source = f"select * from ({self.source}) where try({expression})"  # noqa: S608

    def _typed(self, text: str, path: FieldPath) -> tuple[str, str] | None:
        """The expression, written anew, and DuckDB's name for its type."""
        try:
            expression = normalized(self.database, text, self.columns.names)
            described = f"describe select try({expression}) from ({self.source})"  # noqa: S608
            row = self.database.execute(described).fetchone()
        except WrongExpression as error:
            self._refuse(path, str(error))
            return None
        except duckdb.Error as error:
            self._refuse(path, _one_line(error))
            return None
        assert row is not None
        return expression, str(row[1])

    def _refuse(self, path: FieldPath, message: str) -> None:
        self.problems.append((path, message))


def _one_line(error: duckdb.Error) -> str:
    """DuckDB's sentence, without its kind and its drawing of the statement."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    first = lines[0].partition("Error: ")[2] or lines[0]
    return first[:1].lower() + first[1:]


def static_columns(definition: StreamDefinition) -> Mapping[str, Sequence[str]]:
    """Of each static table that a definition joins, the columns that it needs, the key first."""
    found: dict[str, list[str]] = {}
    for join in definition.joins:
        columns = found.setdefault(join.table, [key_of(join)])
        columns += [column for column in join.columns if column not in columns]
    return found
