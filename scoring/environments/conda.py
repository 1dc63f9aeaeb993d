"""Conda files as deployments and MLflow models carry them: a Python, conda's packages, and a list for pip."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from scoring.environments.names import is_agents, is_no_python, pypi_name
from scoring.environments.requirements import AGENT_ONLY, Lines, parse_lines
from scoring.environments.wanted import Note, Wanted, normalized
from scoring.errors import InvalidInput

_KNOWN = {"name", "channels", "dependencies", "variables", "prefix", "platforms"}
_SPEC = re.compile(
    r"(?:(?P<channel>[^\s=<>!~]+)::)?(?P<name>[A-Za-z0-9_.-]+)(?:\[(?P<brackets>[^\]]*)\])?\s*(?P<rest>.*)$"
)
_VERSION = r"[0-9A-Za-z.*+!_-]+"
_OPERATORS = ("==", "!=", "<=", ">=", "~=", "<", ">")


@dataclass(frozen=True, kw_only=True)
class CondaSpec:
    """One entry of conda's own list; `specifier` in pip's words, empty for any version."""

    name: str
    specifier: str


def wanted_of_conda(
    conda: Mapping[str, Any], *, place: str = "conda_file", other_file: Callable[[str], str] | None = None
) -> Wanted:
    """What a conda file asks for. Raises InvalidInput with the place of what cannot be understood."""
    if not isinstance(conda, Mapping):
        raise InvalidInput("found no keys; wanted name, channels and dependencies", place=place)
    unknown = [key for key in conda if key not in _KNOWN]
    if unknown:
        raise InvalidInput(f"found the key '{unknown[0]}'; allowed are {', '.join(sorted(_KNOWN))}", place=place)
    dependencies = conda.get("dependencies") or []
    if not isinstance(dependencies, (list, tuple)):
        raise InvalidInput("wanted a list", place=f"{place}: dependencies")
    found = Lines()
    if conda.get("variables"):
        found.notes.append(Note(subject="variables", done="ignored: write them into environment_variables"))
    python: str | None = None
    optional: list[str] = []
    for number, entry in enumerate(dependencies):
        here = f"{place}: dependencies[{number}]"
        if isinstance(entry, str):
            spec = conda_spec(entry, here)
            if spec.name == "python":
                python = spec.specifier.removeprefix("==").removesuffix(".*") or None
            elif line := _line(spec, entry, found):
                optional.append(line)
        elif isinstance(entry, Mapping) and set(entry) == {"pip"}:
            pip = entry["pip"] or []
            if not isinstance(pip, (list, tuple)) or not all(isinstance(line, str) for line in pip):
                raise InvalidInput("wanted a list of texts", place=f"{here}.pip")
            parse_lines(pip, place=f"{here}.pip", other_file=other_file, into=found)
        else:
            raise InvalidInput(f"found {entry!r}; allowed are texts and one entry 'pip' with a list", place=here)
    return _merged(found, optional, python)


def conda_spec(text: str, place: str) -> CondaSpec:
    """`channel::name=1.2=build`, `name>=1,<2`, `name 1.2.*` or `name`, with the version as pip writes it."""
    found = _SPEC.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(f"found '{text}', which is no package of conda; wanted NAME or NAME=VERSION", place=place)
    inner = re.search(r"version\s*=\s*['\"]?([^'\",\]]+(?:,[^'\"\]]+)?)['\"]?", found["brackets"] or "")
    rest = (inner[1] if inner else found["rest"]).strip()
    return CondaSpec(name=found["name"].lower(), specifier=_specifier(rest, text, place))


def _specifier(rest: str, text: str, place: str) -> str:
    if not rest or rest == "*":
        return ""
    rest = rest.split("|")[0]  # alternatives: the first will do
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    try:
        return ",".join(filter(None, [_one(part) for part in parts]))
    except InvalidSpecifier:
        raise InvalidInput(
            f"found '{text}', whose version '{rest}' cannot be read; wanted e.g. NAME=1.2, NAME>=1.2,<2", place=place
        ) from None


def _one(part: str) -> str:
    """One condition. The build that may follow the version names a file of conda's, and means nothing here."""
    operator = next((sign for sign in _OPERATORS if part.startswith(sign)), None)
    fuzzy = operator is None and part.startswith("=")
    version = part.removeprefix(operator or "").lstrip("=").strip()
    version = re.split(r"[=\s]", version)[0]
    if version in {"", "*"}:
        return ""
    if operator is None:
        # conda: `=1.2` is 1.2 and all that begins with it; with a build, or without a sign, it is meant exactly
        exact = not fuzzy or part.lstrip("=").count("=") > 0
        if version.endswith("*"):
            version, exact = version.rstrip("*").rstrip("."), False
        text = f"=={version}" if exact else f"=={version}.*"
    elif version.endswith("*") and operator not in ("==", "!="):
        text = operator + version.rstrip("*").rstrip(".")
    else:
        text = operator + version
    return str(SpecifierSet(text))


def _line(spec: CondaSpec, written: str, found: Lines) -> str | None:
    if is_no_python(spec.name):
        found.notes.append(Note(subject=written, done="left out: no Python package"))
        return None
    if is_agents(spec.name):
        found.notes.append(Note(subject=written, done=AGENT_ONLY))
        return None
    name = pypi_name(spec.name)
    if name is None:
        if spec.name not in {"pip", "python"}:
            found.notes.append(Note(subject=written, done="left out: comes with the package that needs it"))
        return None
    if normalized(name) != normalized(spec.name):
        found.notes.append(Note(subject=written, done=f"installed as {name}"))
    return f"{name}{spec.specifier}"


def _merged(found: Lines, optional: list[str], python: str | None) -> Wanted:
    """pip's list counts where both lists name a package: conda environments are made in that order."""
    wanted = found.wanted()
    merged = wanted.plus(*dict.fromkeys(optional))
    added = frozenset(merged.requirements[len(wanted.requirements) :])
    return Wanted(
        python=python,
        requirements=merged.requirements,
        optional=added,
        options=wanted.options,
        notes=wanted.notes,
    )
