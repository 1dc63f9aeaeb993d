"""Runs one file that declares streams, in a process of its own: `python -m infra.python_stream_file FILE ANSWER`.

The answer is JSON: the documents with the lines of their keys, or what is wrong and where. The file is trusted as the
user who runs it; what it prints goes nowhere, and it gets no more time, memory and disk than a definition needs.
"""

from __future__ import annotations

import ast
import json
import os
import resource
import sys
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ingestion.declaration import Stream, document_of

MEMORY = 4 << 30
FILE_SIZE = 16 << 20

_MODULE = "declared_streams"

_NAMED = {
    "topic": ("source", "topic"),
    "fields": ("source", "fields"),
    "joins": ("join",),
    "table": ("sink", "table"),
}
"""Where a field of a Stream stands in its document, where not under its own name."""


class Wrong(Exception):
    def __init__(self, line: int, told: str) -> None:
        super().__init__(told)
        self.line = line


def main(file: Path, answer: Path) -> None:
    for what, most in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_FSIZE, FILE_SIZE), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    try:
        told: dict[str, Any] = {"streams": _streams(file)}
    except Wrong as wrong:
        told = {"line": wrong.line, "wrong": str(wrong)}
    draft = answer.with_suffix(".draft")
    draft.write_text(json.dumps(told))
    draft.rename(answer)


def _streams(file: Path) -> list[dict[str, Any]]:
    content = file.read_bytes()
    try:
        tree = ast.parse(content, str(file))
        code = compile(tree, str(file), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Wrong(error.lineno or 1, f"not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Wrong(1, f"not Python: {error}") from None
    module = types.ModuleType(_MODULE)
    module.__file__ = str(file)
    sys.modules[_MODULE] = module
    held = module.__dict__
    # files beside it may be imported; at the end, so that none of them stands for another's module
    sys.path.append(str(file.parent))
    try:
        exec(code, held)  # noqa: S102  what a user declares is a program of theirs
    except BaseException as error:
        raise Wrong(_line(error, file), _told(error)) from None
    found = list(_declared(held))
    if not found:
        raise Wrong(1, "no stream is declared; assign one to a name, e.g. `flow = Stream(name='flow', …)`")
    calls = {node.lineno: node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_stream(node)}
    return [_answer(stream, calls, file) for stream in found]


def _declared(held: Mapping[str, Any]) -> Iterator[Stream]:
    """The module's values that are streams, or lists of them, each once, in order."""
    seen: set[int] = set()
    for value in list(held.values()):
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, Stream) and id(one) not in seen:
                seen.add(id(one))
                yield one


def _answer(stream: Stream, calls: Mapping[int, ast.Call], file: Path) -> dict[str, Any]:
    line = stream.place[1] if stream.place[0] == str(file) else 1
    try:
        document = document_of(stream)
        text = json.dumps(document, allow_nan=False)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Wrong(line, f"stream {stream.name!r}: {error}") from None
    lines = list(_lines(calls[line])) if line in calls else []
    return {"document": json.loads(text), "lines": [[[], line], *lines]}


def _is_stream(node: ast.Call) -> bool:
    return getattr(node.func, "id", getattr(node.func, "attr", None)) == Stream.__name__


def _lines(call: ast.Call) -> Iterator[tuple[list[str | int], int]]:
    """Paths of the document, and where their values are written, as far as that is plain to see."""
    for keyword in call.keywords:
        if keyword.arg is None:
            continue
        path: list[str | int] = list(_NAMED.get(keyword.arg, (keyword.arg,)))
        yield path, keyword.value.lineno
        if isinstance(keyword.value, (ast.List, ast.Tuple)):
            for number, element in enumerate(keyword.value.elts):
                yield [*path, _name_of(element) if keyword.arg in ("aggregates", "fields") else number], element.lineno
        elif isinstance(keyword.value, ast.Dict):
            for key in keyword.value.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield [*path, key.value], key.lineno


def _name_of(element: ast.expr) -> str:
    """The column or field that an element declares; empty where it is not written out."""
    for keyword in element.keywords if isinstance(element, ast.Call) else ():
        if keyword.arg in ("column", "name") and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""


def _line(error: BaseException, file: Path) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return (lines[-1] if lines else None) or 1


def _told(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the file ends its process; a declaration only assigns values, remove the exit"
    text = str(error).splitlines()[0][:300] if str(error) else "no more is said"
    return f"running it raised {type(error).__name__}: {text}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    # what the file has begun (threads, hooks at exit) is not waited for
    os._exit(0)
