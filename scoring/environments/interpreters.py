"""Which of the Pythons of this machine is nearest to the one that was asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from scoring.errors import InvalidInput

OLDEST = (3, 8)
"""The worker side of tidemill runs from here on."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python of this machine; `path` may be a link or belong to an environment."""

    version: tuple[int, int, int]
    path: str

    @property
    def minor(self) -> tuple[int, int]:
        return self.version[:2]

    @property
    def text(self) -> str:
        return ".".join(str(number) for number in self.version)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`moved` says in words how the interpreter differs from the one asked for; None where it does not."""

    interpreter: Interpreter
    moved: str | None = None


def check(wanted: str | None, place: str) -> None:
    """Raises InvalidInput for what is no version of Python."""
    if wanted is not None:
        _conditions(wanted, place)


def asked_minor(wanted: str | None) -> tuple[int, int] | None:
    """The minor version that a text like `3.8.5` or `~=3.9.1` pins to; None where it leaves that open."""
    found = re.match(r"(?:==|~=)?\s*(\d+)\.(\d+)", wanted or "")
    return (int(found[1]), int(found[2])) if found else None


def nearest(wanted: str | None, available: Sequence[Interpreter], own: Interpreter) -> Choice:
    """The interpreter to take: exactly what is asked for, then the same minor version, then the nearest one.

    `own` is the one that tidemill runs on: it is taken where nothing is asked for, and among equals.
    """
    if wanted is None:
        return Choice(interpreter=own)
    fit = _conditions(wanted, "python")
    usable = [own, *(one for one in available if one.minor >= OLDEST)]
    exact = [one for one in usable if fit.contains(one.text)]
    minor = asked_minor(wanted)
    if exact:
        # a range that tidemill's own Python meets is met by it: the one that is known to work here
        return Choice(interpreter=exact[0] if exact[0] is own else max(exact, key=lambda one: one.version))
    if minor is not None:
        same = [one for one in usable if one.minor == minor]
        if same:
            found = min(same, key=lambda one: abs(one.version[2] - _patch(wanted)))
            return Choice(interpreter=found, moved=f"{found.text} is used, the same minor version")
        found = min(usable, key=lambda one: (_distance(one.minor, minor), one.minor < minor, one is not own))
    else:
        found = own
    return Choice(interpreter=found, moved=f"{found.text} is used, the nearest of the Pythons that this machine has")


def _distance(one: tuple[int, int], other: tuple[int, int]) -> int:
    return abs(one[0] - other[0]) * 100 + abs(one[1] - other[1])


def _patch(wanted: str) -> int:
    found = re.match(r"(?:==|~=)?\s*\d+\.\d+\.(\d+)", wanted)
    return int(found[1]) if found else 0


def _conditions(wanted: str, place: str) -> SpecifierSet:
    text = wanted.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text = f"=={text}.*"
    elif re.match(r"\d", text):
        text = f"=={text}"
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise InvalidInput(f"found python '{wanted}'; wanted a version such as 3.11 or 3.8.5", place=place) from None
