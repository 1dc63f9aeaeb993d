"""How results are printed: `-o json|jsonc|yaml|yamlc|table|tsv|none` after `--query`, exactly as az prints them.

json    keys sorted, indent 2, non-ASCII kept
tsv     a scalar bare; a list one row a line; a mapping its values in their order, tab-separated; nested mappings are
        empty cells, nested lists their length, null `None`, and a bare boolean `true` or `false`
table   columns of the scalars, one row an element
A result that is null prints nothing in every format.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from scoring.errors import InvalidInput

FORMATS = ("json", "jsonc", "yaml", "yamlc", "table", "tsv", "none")

_SAID = 200

# what az leaves out of tables, too: long, and the same for every row
_NOT_IN_TABLES = {"id", "type", "etag"}


class Tabled(list[Any]):
    """A list whose table has columns of its own; in every other form, and after a query, it is the list."""

    def __init__(self, elements: Iterable[Any], row: Callable[[Any], dict[str, Any]]) -> None:
        super().__init__(elements)
        self.row = row


def compiled(query: str | None) -> Callable[[Any], Any]:
    """The query as a function. Raises InvalidInput for what is no JMESPath, before anything is done."""
    if query is None:
        return lambda result: result
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        expression = jmespath.compile(query)
    except JMESPathError as error:
        raise InvalidInput(f"found '{query}', no JMESPath: {str(error).splitlines()[0]}", place="--query") from None

    def search(result: Any) -> Any:
        try:
            # its functions know lists by their type alone
            return expression.search(list(result) if isinstance(result, list) else result)
        except JMESPathError as error:
            said = " ".join(str(error).split())
            said = said if len(said) <= _SAID else f"{said[: _SAID - 1]}…"
            raise InvalidInput(f"'{query}' does not fit the result: {said}", place="--query") from None

    return search


def show(result: Any, form: str, stream: TextIO | None = None) -> None:
    """Print a result to stdout; null prints nothing."""
    out = stream or sys.stdout
    if result is None or form == "none":
        return
    if form in {"json", "jsonc"}:
        text = json.dumps(result, ensure_ascii=False, indent=2, sort_keys=True, default=str) + "\n"
        _coloured(out, text, "json") if form == "jsonc" else out.write(text)
    elif form in {"yaml", "yamlc"}:
        import yaml

        plain = list(result) if isinstance(result, Tabled) else result
        text = yaml.safe_dump(plain, allow_unicode=True, default_flow_style=False)
        text = text.removesuffix("...\n")  # the end mark that YAML gives a bare scalar
        _coloured(out, text, "yaml") if form == "yamlc" else out.write(text)
    elif form == "tsv":
        for line in _tsv(result):
            out.write(line + "\n")
    else:
        for line in _table([result.row(element) for element in result] if isinstance(result, Tabled) else result):
            out.write(line + "\n")
    out.flush()


def _coloured(out: TextIO, text: str, language: str) -> None:
    if not out.isatty():
        out.write(text)
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console(file=out).print(Syntax(text.rstrip("\n"), language, background_color="default"))


def _tsv(result: Any) -> Iterator[str]:
    for row in result if isinstance(result, list) else [result]:
        if isinstance(row, dict):
            yield "\t".join(_tsv_cell(value) for value in row.values())
        elif isinstance(row, list):
            yield "\t".join(_tsv_cell(value) for value in row)
        else:
            yield str(row).lower() if isinstance(row, bool) else str(row)


def _tsv_cell(value: Any) -> str:
    if isinstance(value, dict):
        return ""
    return str(len(value)) if isinstance(value, list) else str(value)


def _table(result: Any) -> Iterator[str]:
    elements = result if isinstance(result, list) else [result]
    rows = [_table_row(element) for element in elements]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    # a column that is empty everywhere says nothing
    columns = [column for column in columns if any(row.get(column) for row in rows)]
    if not columns:
        return
    cells = [[row.get(column, "") for column in columns] for row in rows]
    heads = [column[:1].upper() + column[1:] for column in columns]
    widths = [max(len(head), *(len(row[i]) for row in cells)) for i, head in enumerate(heads)]
    for line in (heads, ["-" * width for width in widths], *cells):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _table_row(element: Any) -> dict[str, str]:
    if isinstance(element, dict):
        pairs = [(str(key), value) for key, value in element.items() if key not in _NOT_IN_TABLES]
    elif isinstance(element, list):
        pairs = [(f"Column{number}", value) for number, value in enumerate(element, start=1)]
    else:
        pairs = [("Result", element)]
    return {
        key: " ".join(str(value).split())
        for key, value in pairs
        if value is not None and not isinstance(value, (dict, list))
    }
