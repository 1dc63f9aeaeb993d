"""The tree reads like the data flow: what may lie where, how it is named, how long it gets."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

import pytest

NAMED_BY_THE_PROJECT = {"pyproject.toml", "README.md", "docker-compose.yml"}
NAMED_BY_THE_PROJECT |= {"ingestion", "scoring", "storage", "dashboard", "infra", "tests"}
HELPS_PEOPLE = {"Makefile", "requirements.lock", ".ci", "docs", "examples", "benchmarks"}
HELPS_PEOPLE |= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", ".gitignore", ".dockerignore"}
SAYS_NOTHING = {
    "common",
    "commons",
    "util",
    "utils",
    "helper",
    "helpers",
    "misc",
    "shared",
    "base",
    "core",
    "lib",
    "stuff",
}
AS_A_WHOLE = {"infra/api": "service"}
"""Packages that are tested as a whole under the glossary's word for what they make."""
LOOK_AGAIN_LINES, CAP_LINES = 400, 600
LOOK_AGAIN_FUNCTION, CAP_FUNCTION = 60, 120


def test_the_top_level_is_what_was_agreed(tracked: list[Path]) -> None:
    top = {path.parts[0] for path in tracked}
    assert top <= NAMED_BY_THE_PROJECT | HELPS_PEOPLE
    assert top >= NAMED_BY_THE_PROJECT


def test_every_package_says_what_is_there_and_what_is_not(root: Path, sources: list[Path]) -> None:
    silent = []
    for path in sources:
        if path.name == "__init__.py":
            text = ast.get_docstring(ast.parse((root / path).read_text())) or ""
            if len(text) < 40 or not re.search(r"\bnot here\b", text, re.IGNORECASE):
                silent.append(str(path))
    assert not silent, "a package docstring says what is here and, after `Not here:`, what must not be"


def test_every_module_says_what_it_is(root: Path, sources: list[Path]) -> None:
    silent = [str(path) for path in sources if not ast.get_docstring(ast.parse((root / path).read_text()))]
    assert not silent


def test_every_folder_with_modules_is_a_package(root: Path, sources: list[Path]) -> None:
    pages_of_streamlit = root / "dashboard" / "views"  # scripts that Streamlit runs by path
    without = {
        str(path.parent)
        for path in sources
        if not (root / path.parent / "__init__.py").exists()
        and root / path.parent != pages_of_streamlit
        and "migrations" not in path.parts
    }
    assert not without


def test_no_name_says_nothing(sources: list[Path]) -> None:
    named = {part.removesuffix(".py") for path in sources for part in path.parts}
    assert not named & SAYS_NOTHING


def test_unit_tests_mirror_the_tree(root: Path, tracked: list[Path]) -> None:
    """tests/unit/<package>/test_<module>[_<aspect>].py is about that module, test_<package>.py about it all."""
    astray = []
    for path in tracked:
        if path.parts[:2] != ("tests", "unit") or not path.name.startswith("test_"):
            continue
        subject = path.stem.removeprefix("test_")
        folder = root.joinpath(*path.parts[2:-1])
        known = (
            [entry.stem.lstrip("_") for entry in folder.glob("*") if entry.suffix in ("", ".py")]
            if folder.is_dir()
            else []
        )
        known += [folder.name, AS_A_WHOLE.get(folder.relative_to(root).as_posix(), folder.name)]
        if not any(subject == name or subject.startswith(f"{name}_") for name in known):
            astray.append(str(path))
    assert not astray, "a unit test is named after the module that it tests"


def test_files_stay_readable(root: Path, sources: list[Path]) -> None:
    lengths = {str(path): len((root / path).read_text().splitlines()) for path in sources}
    assert not {name: lines for name, lines in lengths.items() if lines > CAP_LINES}
    long = sorted((lines, name) for name, lines in lengths.items() if lines > LOOK_AGAIN_LINES)
    if long:
        warnings.warn(f"files to look at again: {long}", stacklevel=1)


def test_functions_stay_readable(root: Path, sources: list[Path]) -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources
        for node in ast.walk(ast.parse((root / path).read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert not {name: lines for name, lines in lengths.items() if lines > CAP_FUNCTION}
    long = sorted((lines, name) for name, lines in lengths.items() if lines > LOOK_AGAIN_FUNCTION)
    if long:
        warnings.warn(f"functions to look at again: {long}", stacklevel=1)


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        (
            "the address of a package index",
            r"(?<!no-emit-)index-url\s*[= ]\s*\S|https?://(?:\S+\.)?(?:pypi\.org|pythonhosted\.org)",
        ),
        ("the address of a Maven repository", r"https?://[\w.-]*(?:maven|sonatype|nexus|artifactory)[\w.-]*/"),
        ("an absolute path of one machine", r"(?<![\w.$\"'}<>*-])/(?:work|root|Users|home/\w+)/[\w.-]+"),
        ("a private network address", r"\b(?:10\.\d{1,3}|192\.168)\.\d{1,3}\.\d{1,3}\b"),
    ],
)
def test_no_tracked_file_names_one_machine(root: Path, tracked: list[Path], what: str, pattern: str) -> None:
    found = []
    for path in tracked:
        if path.suffix in {".png", ".parquet", ".pt", ".csv"} or path == Path("tests/architecture/test_tree.py"):
            continue
        for number, line in enumerate((root / path).read_text(errors="replace").splitlines(), start=1):
            if re.search(pattern, line):
                found.append(f"{path}:{number}: {line.strip()[:100]}")
    assert not found, what
