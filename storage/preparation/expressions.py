"""SQL expressions that users write: parsed by DuckDB, and refused where they are more than an expression.

Taken is what depends on the row alone: columns, constants, operators, casts, CASE, and functions that give the same
answer for the same arguments. The text that is run is written anew from the syntax tree, never the user's own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

import duckdb

MEMORY_LIMIT = "512MB"

_ALLOWED = frozenset(
    {"CONSTANT", "COLUMN_REF", "FUNCTION", "OPERATOR", "COMPARISON", "CONJUNCTION", "CAST", "CASE", "BETWEEN", "TYPE"}
)
_REFUSED: Mapping[str, str] = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "a star",
    "LAMBDA": "a lambda",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a positional reference",
    "COLLATE": "a collation",
    "DEFAULT": "DEFAULT",
}
_MACROS = frozenset({"nullif", "if", "ifnull", "split_part", "fdiv", "fmod", "date_add", "days_in_month"})
"""Macros are not told apart by stability; these depend on their arguments alone."""
_DESPITE_CONSISTENT = frozenset(
    {"age", "version", "current_localtime", "current_localtimestamp", "parse_duckdb_log_message"}
)
"""DuckDB calls them consistent, but they read the clock or the library's version."""
_CLOCKS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})


class WrongExpression(Exception):
    """An expression that is not taken: what was found, what is allowed."""


def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB with one thread, in UTC, which can reach no file and no Python variable."""
    made = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT})
    made.execute("set TimeZone = 'UTC'")
    made.execute("set python_enable_replacements = false")
    made.execute("set enable_external_access = false")
    return made


def normalized(database: duckdb.DuckDBPyConnection, text: str, columns: Collection[str]) -> str:
    """The expression, written anew. Raises WrongExpression for one that is more than a row's."""
    found = database.execute("select json_serialize_sql(?::varchar)", [f"SELECT {text}"]).fetchone()
    assert found is not None
    tree = json.loads(found[0])
    if tree.get("error"):
        raise WrongExpression(f"no SQL expression: {_one_line(str(tree.get('error_message')))}")
    expression = _only_expression(tree)
    for node in _nodes(expression):
        _check_node(node, columns)
    written = database.execute("select json_deserialize_sql(?::json)", [json.dumps(tree)]).fetchone()
    assert written is not None
    return str(written[0]).removeprefix("SELECT ")


def _only_expression(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    statements = tree["statements"]
    if len(statements) != 1:
        raise WrongExpression(f"{len(statements)} statements found, wanted one expression")
    node = statements[0]["node"]
    selected = node.get("select_list", [])
    more = (
        node.get("type") != "SELECT_NODE"
        or node["from_table"]["type"] != "EMPTY"
        or node.get("modifiers")
        or node["cte_map"]["map"]
        or any(node.get(part) for part in ("where_clause", "having", "qualify", "sample", "group_expressions"))
    )
    if more or len(selected) != 1:
        raise WrongExpression("more than one expression found; FROM, WHERE, commas and the like are not allowed")
    if selected[0].get("alias"):
        raise WrongExpression(f"the word '{selected[0]['alias']}' follows the expression; an alias is not allowed")
    found: Mapping[str, Any] = selected[0]
    return found


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, dict):
        if "class" in node:
            yield node
        for child in node.values():
            yield from _nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from _nodes(child)


def _check_node(node: Mapping[str, Any], columns: Collection[str]) -> None:
    kind = str(node["class"])
    if kind not in _ALLOWED:
        raise WrongExpression(f"{_REFUSED.get(kind, kind)} is not allowed; an expression is about one row")
    if kind == "COLUMN_REF":
        _check_column(node["column_names"], columns)
    elif kind == "FUNCTION":
        _check_function(node)


def _check_column(names: list[str], columns: Collection[str]) -> None:
    name = ".".join(names)
    if name in columns:
        return
    if name.casefold() in _CLOCKS:
        raise WrongExpression(f"{name} reads the clock; {_SAME_ANSWER}")
    raise WrongExpression(f"there is no column '{name}'; the columns are {', '.join(columns)}")


_SAME_ANSWER = "allowed are functions that give the same answer for the same arguments"


def _check_function(node: Mapping[str, Any]) -> None:
    name = str(node["function_name"]).casefold()
    if node.get("schema") or node.get("catalog"):
        raise WrongExpression(f"{name}() is named with a schema; write its name alone")
    known = _functions().get(name, frozenset())
    if not known:
        raise WrongExpression(f"there is no function {name}()")
    if known <= {"aggregate"}:
        raise WrongExpression(f"{name}() is an aggregate; what is computed over a window stands under aggregates")
    if known <= {"table", "table_macro", "pragma"}:
        raise WrongExpression(f"{name}() gives a table; an expression is about one row")
    is_steady = "CONSISTENT" in known and not known & {"VOLATILE", "CONSISTENT_WITHIN_QUERY"}
    is_exception = name in _DESPITE_CONSISTENT or name.startswith("__internal")
    if is_exception or not (is_steady or name in _MACROS):
        raise WrongExpression(f"{name}() is not allowed: it depends on more than its arguments; {_SAME_ANSWER}")


@cache
def _functions() -> Mapping[str, frozenset[str]]:
    """Of each function's name, the stabilities of its scalar forms, else the kinds of its other ones."""
    with duckdb.connect() as database:
        rows = database.execute(
            "select lower(function_name), case when function_type = 'scalar' then stability else function_type end "
            "from duckdb_functions()"
        ).fetchall()
    found: dict[str, set[str]] = {}
    for name, kind in rows:
        found.setdefault(str(name), set()).add(str(kind))
    return {name: frozenset(kinds) for name, kinds in found.items()}


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
