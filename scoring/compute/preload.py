"""Which modules a scoring script will import, read from its text: a zygote imports them before it is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from scoring.compute.zygote import Import

_LONGEST_FILE = 1 << 20
_MOST_FILES = 200
# the driver's own stand-in, and modules whose import does something
_NEVER = {"azureml_user", "__future__", "__main__", "antigravity", "this"}


def imports_of(code: Path, script: str) -> Sequence[Import]:
    """What the script and the modules of its code folder import when they are loaded, or in `init()`.

    Modules of the code folder itself are not named: they are loaded anew for each job. What cannot be read or parsed
    is left out; the worker will meet the same and tell it.
    """
    roots = [(code / script).parent, code]
    found: dict[tuple[str, tuple[str, ...]], None] = {}
    waiting, seen = [code / script], set[Path]()
    while waiting and len(seen) < _MOST_FILES:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for level, module, names in _imports(file):
            local = _local_files(roots if level == 0 else [file.parents[level - 1]], module, names)
            if local is not None:
                waiting += local
            elif level == 0 and module.split(".")[0] not in _NEVER:
                found[(module, names)] = None
    return [Import(module=module, names=names) for module, names in found]


def _imports(file: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """How many packages up (0 is absolute), the module, the names taken from it."""
    try:
        if file.stat().st_size > _LONGEST_FILE:
            return
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in _run_when_loaded(tree.body):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.level, node.module, tuple(alias.name for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, alias.name, ()) for alias in node.names)


def _run_when_loaded(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in statements:
        if isinstance(node, ast.FunctionDef):
            if node.name == "init":
                yield from _run_when_loaded(node.body)
            continue
        if isinstance(node, (ast.AsyncFunctionDef, ast.ClassDef)) or _is_main(node):
            continue
        yield node
        for part in ("body", "orelse", "finalbody"):
            yield from _run_when_loaded(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _run_when_loaded(handler.body)


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def _local_files(roots: Sequence[Path], module: str, names: Sequence[str]) -> list[Path] | None:
    """Files of the code folder that the import loads; None where it is not of the code folder."""
    parts = module.split(".")
    for root in roots:
        if not (root / parts[0]).is_dir() and not (root / f"{parts[0]}.py").is_file():
            continue
        place = root.joinpath(*parts)
        wanted = [place.with_suffix(".py"), place / "__init__.py", *(place / f"{name}.py" for name in names)]
        return [file for file in wanted if file.is_file()]
    return None
