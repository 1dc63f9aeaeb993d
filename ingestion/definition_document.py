"""From a stream's document to its definition. Pure: what static tables and expressions are is for a `Binder` to say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from ingestion.aggregates.spec import AggregateSpec, check
from ingestion.alerts.rules import AlertRule, rules_of
from ingestion.definition import (
    FIELD_TYPES,
    LATE_SUFFIX,
    REVISIONS_SUFFIX,
    ExtraField,
    StaticJoin,
    StreamDefinition,
    message_columns,
)
from ingestion.definition_problems import FieldPath, Problems, Source, described
from ingestion.definition_window import window_of
from ingestion.errors import InvalidInput
from ingestion.reading import READING_SCHEMA
from ingestion.settings import TopicSettings
from ingestion.shape import BUILT_IN_KEY, window_schema

KEYS = (
    "name",
    "description",
    "source",
    "join",
    "filter",
    "derived",
    "key",
    "window",
    "aggregates",
    "sink",
    "alerts",
)

BUILT_IN = "windows"
"""The stream that needs no document."""

RESERVED_TABLES = frozenset({"windows", "late_readings", "predictions", "faults", "letter_decisions", "alerts"})
"""Tables of the lake that are not a definition's to write."""

_ROW_COLUMNS = ("window_start", "window_end", "topic", "partition", "first_offset", "last_offset", "revision", "date")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,200}")


class NoSource:
    """For a document that was not read from a file."""

    def place(self, path: FieldPath) -> str | None:
        return None


class Bound(NamedTuple):
    """What a binder found: the columns of a prepared reading with their types, and what is wrong, by path.

    A column that something is wrong with is not among them.
    """

    columns: pa.Schema
    problems: Sequence[tuple[FieldPath, str]]


class Binder(Protocol):
    """Checks joins and expressions without running them."""

    def __call__(
        self, columns: pa.Schema, joins: Sequence[StaticJoin], derived: Mapping[str, str], condition: str | None, /
    ) -> Bound: ...


def unbound(
    columns: pa.Schema, joins: Sequence[StaticJoin], derived: Mapping[str, str], condition: str | None, /
) -> Bound:
    """A binder that believes everything: what is joined is text, what is derived a number."""
    joined = [pa.field(name, pa.string()) for join in joins for name in join.columns.values()]
    computed = [pa.field(name, pa.float64()) for name in derived]
    return Bound(pa.schema([*columns, *joined, *computed]), ())


def definition_of(
    document: Mapping[str, Any],
    source: Source | None = None,
    *,
    readings_topic: str = TopicSettings().readings,
    bind: Binder = unbound,
) -> StreamDefinition:
    """The stream that a document defines.

    source          tells where a value was written
    readings_topic  what `source.topic` is where the document does not say
    bind            knows the static tables and the language of the expressions

    Raises InvalidDefinition with every problem, each with its file, line and path.
    """
    return _Reader(document, Problems(source or NoSource()), readings_topic, bind).definition()


class _Reader:
    """Reads key after key; a key that is wrong has been told, and what depends on it is left out."""

    def __init__(self, document: Mapping[str, Any], problems: Problems, readings_topic: str, bind: Binder) -> None:
        self.document = document
        self.problems = problems
        self.readings_topic = readings_topic
        self.bind = bind
        self.names = list(READING_SCHEMA.names)

    def definition(self) -> StreamDefinition:
        self.problems.unknown_keys(self.document, (), KEYS)
        name = self._name("name", self.document.get("name"), ("name",))
        if name == BUILT_IN:
            self.problems.add(("name",), f"'{BUILT_IN}' is the built-in stream; take another name")
        topic, fields = self._source()
        joins = self._joins()
        condition = self._filter()
        derived = self._derived()
        bound = self.bind(message_columns(fields), joins, derived, condition)
        for path, message in bound.problems:
            self.problems.add(path, message)
        columns = {column.name: column.type for column in bound.columns}
        key = self._key(columns)
        window = window_of(self.document.get("window"), self.problems)
        aggregates = self._aggregates(key, columns)
        table = self._table(name)
        alerts = self._alerts(key, aggregates, columns)
        description = self.document.get("description", "")
        if not isinstance(description, str):
            self.problems.add(("description",), f"found {described(description)}, wanted text")
        self.problems.refuse()
        assert name is not None
        assert window is not None
        return StreamDefinition(
            name=name,
            description=description,
            topic=topic,
            fields=fields,
            joins=joins,
            filter=condition,
            derived=derived,
            columns=columns,
            key=key,
            window=window,
            aggregates=aggregates,
            table=table,
            alerts=alerts,
        )

    # -- where readings come from -----------------------------------------------------------------------------------

    def _source(self) -> tuple[str, tuple[ExtraField, ...]]:
        given = self.document.get("source")
        found = {} if given is None else self.problems.mapping(given, ("source",))
        if not found:
            return self.readings_topic, ()
        self.problems.unknown_keys(found, ("source",), ("topic", "fields"))
        topic = found.get("topic", self.readings_topic)
        if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
            at = ("source", "topic")
            self.problems.add(at, f"found {described(topic)}, wanted a topic: letters, digits, dot, underscore, hyphen")
            topic = self.readings_topic
        return topic, self._fields(found.get("fields"))

    def _fields(self, given: Any) -> tuple[ExtraField, ...]:
        fields = []
        path = ("source", "fields")
        for name, kind in ({} if given is None else self.problems.mapping(given, path) or {}).items():
            chosen = self.problems.choice(kind, (*path, name), FIELD_TYPES)
            if chosen is not None and self._new_column(name, (*path, name)):
                fields.append(ExtraField(name=name, type=chosen))  # type: ignore[arg-type]
        return tuple(fields)

    # -- rows -------------------------------------------------------------------------------------------------------

    def _joins(self) -> tuple[StaticJoin, ...]:
        given = self.document.get("join", [])
        if not isinstance(given, Sequence) or isinstance(given, str):
            self.problems.add(("join",), f"found {described(given)}, wanted a list of joins")
            return ()
        joins = [self._join(one, ("join", number)) for number, one in enumerate(given)]
        return tuple(join for join in joins if join is not None)

    def _join(self, given: Any, path: FieldPath) -> StaticJoin | None:
        found = self.problems.mapping(given, path)
        if found is None:
            return None
        self.problems.unknown_keys(found, path, ("table", "on", "columns"))
        table = self.problems.text(found.get("table"), (*path, "table"))
        on = self.problems.text(found.get("on"), (*path, "on"))
        if on is not None and on not in self.names:
            self.problems.add((*path, "on"), f"found '{on}', the columns so far are {', '.join(self.names)}")
            on = None
        columns = self.problems.mapping(found.get("columns"), (*path, "columns"))
        taken = {}
        for column, name in (columns or {}).items():
            at = (*path, "columns", column)
            if self.problems.text(name, at) and self._new_column(name, at):
                taken[column] = name
        if columns is not None and not columns:
            self.problems.add((*path, "columns"), "empty; name the columns to take, as column: name")
        return StaticJoin(table=table, on=on, columns=taken) if table and on and taken else None

    def _filter(self) -> str | None:
        given = self.document.get("filter")
        return None if given is None else self.problems.text(given, ("filter",))

    def _derived(self) -> Mapping[str, str]:
        given = self.document.get("derived")
        found = {}
        for name, expression in ({} if given is None else self.problems.mapping(given, ("derived",)) or {}).items():
            text = self.problems.text(expression, ("derived", name))
            if text is not None and self._new_column(name, ("derived", name)):
                found[name] = text
        return found

    def _new_column(self, name: Any, path: FieldPath) -> bool:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.problems.add(path, f"found {described(name)}, wanted a name: lower case letters, digits, underscores")
            return False
        if name in self.names:
            self.problems.add(path, f"the column '{name}' is there already; take another name")
            return False
        if name in _ROW_COLUMNS:
            self.problems.add(path, f"'{name}' is a column of every stream's table; take another name")
            return False
        self.names.append(name)
        return True

    # -- windows ----------------------------------------------------------------------------------------------------

    def _key(self, columns: Mapping[str, pa.DataType]) -> tuple[str, ...]:
        given = self.document.get("key", list(BUILT_IN_KEY))
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            self.problems.add(("key",), f"found {described(given)}, wanted a list of columns")
            return ()
        if given[0] != BUILT_IN_KEY[0]:
            told = f"found {described(given[0])}, and a key begins with machine_id: one machine's readings lie together"
            self.problems.add(("key", 0), told)
        good = []
        for number, name in enumerate(given):
            if not isinstance(name, str) or name not in self.names:
                told = f"found {described(name)}, the columns are {', '.join(self.names)}"
                self.problems.add(("key", number), told)
            elif name in given[:number]:
                self.problems.add(("key", number), f"'{name}' is named twice")
            elif name in columns and columns[name] != pa.string():
                self.problems.add(("key", number), f"'{name}' is {columns[name]}, and a key is made of text")
            else:
                good.append(name)
        return tuple(good)

    def _aggregates(self, key: Sequence[str], columns: Mapping[str, pa.DataType]) -> tuple[AggregateSpec, ...]:
        found = self.problems.mapping(self.document.get("aggregates"), ("aggregates",))
        if not found:
            if found is not None:
                self.problems.add(("aggregates",), "empty; name at least one, as column: function")
            return ()
        specs = []
        for column, said in found.items():
            spec = self._aggregate(column, said, ("aggregates", column))
            if spec is None or (spec.of in self.names and spec.of not in columns):
                continue  # told already
            try:
                check([spec], columns, key)
            except InvalidInput as error:
                self.problems.add_told(error)
            else:
                specs.append(spec)
        return tuple(specs)

    def _aggregate(self, column: str, said: Any, path: FieldPath) -> AggregateSpec | None:
        if isinstance(said, str):
            return AggregateSpec(column=column, function=said)
        found = self.problems.mapping(said, path)
        if found is None:
            return None
        function = self.problems.text(found.get("function"), (*path, "function"))
        of = self.problems.text(found.get("of", "value"), (*path, "of"))
        parameters: dict[str, float | str] = {}
        for name, value in found.items():
            if name in ("function", "of"):
                continue
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                self.problems.add((*path, name), f"found {described(value)}, wanted a number or text")
                function = None
            else:
                parameters[name] = value if isinstance(value, str) else float(value)
        if function is None or of is None:
            return None
        return AggregateSpec(column=column, function=function, of=of, parameters=parameters)

    # -- where rows go ----------------------------------------------------------------------------------------------

    def _table(self, name: str | None) -> str:
        given = self.document.get("sink")
        found = {} if given is None else self.problems.mapping(given, ("sink",)) or {}
        self.problems.unknown_keys(found, ("sink",), ("table",))
        path = ("sink", "table") if "table" in found else ("name",)
        table = found.get("table", name)
        if "table" in found:
            table = self._name("table", table, path)
        if table in RESERVED_TABLES:
            self.problems.add(path, f"'{table}' is a table of tidemill's own; take another name")
        elif table is not None and str(table).endswith((LATE_SUFFIX, REVISIONS_SUFFIX)):
            self.problems.add(
                path, f"'{table}': names that end in {LATE_SUFFIX} or {REVISIONS_SUFFIX} belong to other streams' rows"
            )
        return str(table)

    def _alerts(
        self, key: Sequence[str], aggregates: Sequence[AggregateSpec], columns: Mapping[str, pa.DataType]
    ) -> tuple[AlertRule, ...]:
        given = self.document.get("alerts")
        if given is None or not aggregates:
            return ()
        try:
            return rules_of(given, window_schema(key, aggregates, columns))
        except InvalidInput as error:
            self.problems.add_told(error)
            return ()

    def _name(self, what: str, given: Any, path: FieldPath) -> str | None:
        if isinstance(given, str) and _NAME.fullmatch(given):
            return given
        self.problems.add(
            path,
            f"found {described(given)}, wanted a {what}: a lower case letter, then lower case letters, digits and "
            "underscores, at most 63",
        )
        return None
