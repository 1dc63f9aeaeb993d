"""What a Dockerfile installs for Python: its `pip install` and `conda env create`; the rest is not carried out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from scoring.environments.conda import conda_spec, wanted_of_conda
from scoring.environments.images import packages_of, python_of
from scoring.environments.names import is_no_python, pypi_name
from scoring.environments.requirements import Lines, parse_lines
from scoring.environments.wanted import Note, Wanted
from scoring.errors import InvalidInput

_PIP_WITH_VALUE = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links"}
_PIP_ASSIGNED = tuple(f"{name}=" for name in ("--index-url", "--extra-index-url", "--find-links"))
_ENDS = {"&&", "||", ";", "|", "&"}


def wanted_of_dockerfile(
    text: str, *, other_file: Callable[[str], str], conda_file: Callable[[str], Mapping[str, Any]], place: str
) -> Wanted:
    """Read a Dockerfile.

    other_file  text of a file of the build folder; raises InvalidInput where it has none of that name
    conda_file  the same, read as YAML
    """
    found = _Found()
    for number, instruction, rest in _instructions(text):
        here = f"{place}:{number}"
        if instruction == "FROM":
            found.image(rest.split()[0] if rest.split() else "")
        elif instruction in {"RUN", "ENV", "ARG"}:
            if instruction == "RUN":
                for command in _commands(rest):
                    _command(command, found, other_file, conda_file, here)
            else:
                found.lines.notes.append(Note(subject=f"{instruction} {rest}", done="not carried out"))
    return found.wanted()


class _Found:
    def __init__(self) -> None:
        self.lines = Lines()
        self.conda: Wanted | None = None
        self.python: str | None = None
        self.from_image: tuple[str, ...] = ()

    def image(self, name: str) -> None:
        if official := re.fullmatch(r"(?:.*/)?python:(3\.\d+(?:\.\d+)?)(?:[-@].*)?", name):
            self.python = official[1]
        else:
            self.python = python_of(name) or self.python
        self.from_image = packages_of(name)

    def wanted(self) -> Wanted:
        wanted = self.lines.wanted()
        if self.conda is not None:
            base = self.conda.plus(*wanted.requirements)
            return replace(
                base,
                python=base.python or self.python,
                options=(*base.options, *wanted.options),
                notes=(*base.notes, *wanted.notes),
            )
        return replace(wanted.plus(*self.from_image), python=self.python)


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Number of its first line, its word in capitals, and the rest, for each instruction."""
    begun, parts = 0, []  # type: int, list[str]
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        begun = begun or number
        goes_on = line.rstrip().endswith("\\")
        parts.append(line.rstrip().removesuffix("\\"))
        if goes_on:
            continue
        word, _, rest = " ".join(parts).strip().partition(" ")
        yield begun, word.upper(), rest.strip()
        begun, parts = 0, []


def _commands(line: str) -> Iterator[list[str]]:
    """The commands of a RUN, in shell's or in JSON's form."""
    if line.startswith("["):
        yield re.findall(r'"((?:[^"\\]|\\.)*)"', line)
        return
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    command: list[str] = []
    try:
        for word in reader:
            if word in _ENDS:
                yield command
                command = []
            else:
                command.append(word)
    except ValueError:
        command = line.split()
    yield command


def _command(
    words: list[str],
    found: _Found,
    other_file: Callable[[str], str],
    conda_file: Callable[[str], Mapping[str, Any]],
    here: str,
) -> None:
    words = [word for word in words if not re.match(r"--mount=|[A-Z_]+=", word)]
    text = " ".join(words)
    if re.match(r"(?:\S*python[\d.]*\s+-m\s+)?(?:\S*/)?(?:uv\s+)?pip[\d.]*\s+install\b", text):
        _pip(words[words.index("install") + 1 :], found, other_file, here)
    elif re.match(r"(?:\S*/)?(?:conda|mamba|micromamba)\s+env\s+(?:create|update)\b", text):
        files = [value for flag, value in pairwise(words) if flag in {"-f", "--file"}]
        files += [word.partition("=")[2] for word in words if word.startswith("--file=")]
        for name in files:
            found.conda = wanted_of_conda(conda_file(_base(name)), place=_base(name), other_file=other_file)
    elif re.match(r"(?:\S*/)?(?:conda|mamba|micromamba)\s+install\b", text):
        _conda(words[words.index("install") + 1 :], found, here)
    elif words:
        found.lines.notes.append(Note(subject=f"RUN {text}", done="not carried out"))


def _pip(words: list[str], found: _Found, other_file: Callable[[str], str], here: str) -> None:
    lines, rest = [], iter(words)
    for word in rest:
        if word in {"-r", "--requirement"}:
            lines.append(f"-r {_base(next(rest, ''))}")
        elif word in _PIP_WITH_VALUE:
            lines.append(f"{word} {next(rest, '')}")
        elif word.startswith("-"):
            if word.startswith(_PIP_ASSIGNED):
                lines.append(word)
        elif re.split(r"[=<>!~\[ ]", word)[0].lower() not in {"pip", "setuptools", "wheel"}:
            lines.append(word)
    parse_lines(lines, place=here, other_file=other_file, into=found.lines)


def _conda(words: list[str], found: _Found, here: str) -> None:
    skip = False
    for word in words:
        if skip or word.startswith("-"):
            skip = word in {"-c", "--channel", "-n", "--name", "-p", "--prefix"}
            continue
        spec = conda_spec(word, here)
        if spec.name == "python":
            found.python = spec.specifier.removeprefix("==").removesuffix(".*") or None
        elif not is_no_python(spec.name) and (name := pypi_name(spec.name)) is not None:
            found.lines.requirements.append(f"{name}{spec.specifier}")


def _base(name: str) -> str:
    """Inside the image a file has another folder: its name is what can be found again."""
    base = name.rstrip("/").rsplit("/", 1)[-1]
    if not base or base.startswith("$"):
        raise InvalidInput(f"found the file '{name}', whose name is not known before the build")
    return base
