"""What is wrong with a stream's document: all of it at once, each with its file, line, path and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ingestion.errors import InvalidInput

FieldPath = tuple[str | int, ...]


class Source(Protocol):
    """Where a document's values were written."""

    def place(self, path: FieldPath) -> str | None:
        """`file:line` of a field; of an absent one its parent's."""


class InvalidDefinition(InvalidInput):
    """`problems`: one line each, in the order of the document."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def shown_path(path: FieldPath) -> str:
    """`join[0].columns.kind`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def path_of(text: str) -> FieldPath:
    """The other way round: `join[0].columns.kind`."""
    parts: list[str | int] = []
    for part in text.replace("[", ".[").split("."):
        if part.startswith("[") and part.endswith("]") and part[1:-1].isdecimal():
            parts.append(int(part[1:-1]))
        elif part:
            parts.append(part)
    return tuple(parts)


class Problems:
    """Collects refusals, so that the author sees them all at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: list[tuple[int, str]] = []

    def add(self, path: FieldPath, message: str) -> None:
        place, named = self._source.place(path), shown_path(path)
        line = (place or "").rpartition(":")[2]
        text = f"{named}: {message}" if named else message
        self._found.append((int(line) if line.isdecimal() else 0, f"{place}: {text}" if place else text))

    def add_told(self, error: Exception) -> None:
        """A refusal that begins with its path: `aggregates.p99.q: 2 found, …`."""
        for line in str(error).splitlines():
            named, colon, message = line.partition(": ")
            if colon and " " not in named:
                self.add(path_of(named), message)
            else:
                self.add((), line)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(text for _, text in sorted(self._found, key=lambda pair: pair[0]))

    def refuse(self) -> None:
        """Raises InvalidDefinition if anything was found."""
        if self._found:
            raise InvalidDefinition(self.lines)

    # -- what several keys ask --------------------------------------------------------------------------------------

    def mapping(self, value: Any, path: FieldPath) -> Mapping[str, Any] | None:
        if isinstance(value, Mapping):
            return value
        self.add(path, f"found {described(value)}, wanted keys and values")
        return None

    def text(self, value: Any, path: FieldPath) -> str | None:
        if isinstance(value, str) and value.strip():
            return value
        self.add(path, f"found {described(value)}, wanted text")
        return None

    def choice(self, value: Any, path: FieldPath, allowed: Iterable[str]) -> str | None:
        names = list(allowed)
        if isinstance(value, str) and value in names:
            return value
        self.add(path, f"found {described(value)}, allowed: {', '.join(names)}")
        return None

    def unknown_keys(self, value: Mapping[str, Any], path: FieldPath, allowed: Iterable[str]) -> None:
        names = sorted(allowed)
        for key in value:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.6)
                meant = f"did you mean '{near[0]}'? " if near else ""
                self.add((*path, key), f"unknown key; {meant}allowed: {', '.join(names)}")


def described(value: object) -> str:
    """What was found, for a refusal."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"'{value if len(value) <= 60 else value[:59] + '…'}'"
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"
