"""`--set`, `--add` and `--remove` of an update: changes to an object as it was shown, before it is sent back.

A path is `a.b`, `a.list[0]`, or `a."name with dots"`. Values are read as JSON where they are JSON, else as text; with
`force_string` always as text. The changes are made in the order in which they were given.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from scoring.errors import InvalidInput
from scoring.specs.document import (
    MAX_DEPTH,
    Document,
    FieldPath,
    WrittenFloat,
    WrittenInt,
    described,
    refuse_characters,
    shortened,
    shown_path,
)

_PART = re.compile(r'(?:"(?P<quoted>[^"]+)"|(?P<plain>[^.\[\]"=]+))(?P<indexes>(?:\[\d{1,6}\])*)(?P<end>\.|$)')


@dataclass(frozen=True, kw_only=True)
class Change:
    """One option with the values that followed it: `set a=1 b=2`, `add path value…`, `remove path [index]`."""

    kind: Literal["set", "add", "remove"]
    values: tuple[str, ...]

    @property
    def written(self) -> str:
        return f"--{self.kind} {shortened(' '.join(self.values))}"


def changed(document: Document, changes: Sequence[Change], *, force_string: bool = False) -> Document:
    """The document after the changes. Raises InvalidInput naming the option for one that cannot be made."""
    value = copy.deepcopy(dict(document.value))
    origins = dict(document.origins)
    for change in changes:
        refuse_characters(" ".join(change.values), place=f"--{change.kind}")
        made = _Change(change, force_string)
        for path in made.make(value):
            origins[path] = change.written
    return replace(document, value=value, origins=origins)


class _Change:
    def __init__(self, change: Change, force_string: bool) -> None:
        self.change = change
        self.force_string = force_string

    def make(self, root: dict[str, Any]) -> list[FieldPath]:
        """Change `root` in place; returns the paths that were touched."""
        if self.change.kind == "set":
            return [self._set(root, assignment) for assignment in self.change.values]
        if self.change.kind == "add":
            return [self._add(root, self.change.values[0], self.change.values[1:])]
        return [self._remove(root, self.change.values)]

    def _set(self, root: dict[str, Any], assignment: str) -> FieldPath:
        key, equals, text = _split(assignment)
        if not equals:
            raise self._refusal(f"found '{shortened(assignment)}', wanted PATH=VALUE, e.g. tags.owner=ops")
        path = self._path(key)
        parent = self._walk(root, path[:-1], make=True)
        last = path[-1]
        if isinstance(last, int):
            self._item(parent, path)
            parent[last] = self._read(text)
        else:
            self._mapping(parent, path)[last] = self._read(text)
        return path

    def _add(self, root: dict[str, Any], key: str, values: Sequence[str]) -> FieldPath:
        if not values:
            raise self._refusal("wanted a path and what to add to it, e.g. --add tags owner=ops")
        path = self._path(key)
        parent = self._walk(root, path[:-1], make=True)
        target = self._walk(parent, path[-1:], make=False, absent=None)
        pairs = [_split(value) for value in values]
        if isinstance(target, dict) or (target is None and all(equals for _, equals, _ in pairs)):
            added = {**(target or {})}
            for name, equals, text in pairs:
                if not equals:
                    raise self._refusal(
                        f"{shown_path(path)} is a mapping; wanted NAME=VALUE, found '{shortened(name)}'"
                    )
                added[name.strip('"')] = self._read(text)
        elif target is None or isinstance(target, list):
            added = [*(target or []), *self._elements(pairs)]  # type: ignore[assignment]
        else:
            raise self._refusal(f"{shown_path(path)} is {described(target)}; only lists and mappings can be added to")
        last = path[-1]
        if isinstance(last, int):
            self._item(parent, path)[last] = added
        else:
            self._mapping(parent, path)[last] = added
        return path

    def _elements(self, pairs: Sequence[tuple[str, str, str]]) -> list[Any]:
        """Neighbouring NAME=VALUE make one mapping, everything else an element of its own."""
        found: list[Any] = []
        is_open = False
        for name, equals, text in pairs:
            if not equals:
                found.append(self._read(name))
            elif is_open:
                found[-1][name] = self._read(text)
            else:
                found.append({name: self._read(text)})
            is_open = bool(equals)
        return found

    def _remove(self, root: dict[str, Any], values: Sequence[str]) -> FieldPath:
        if len(values) not in {1, 2}:
            raise self._refusal("wanted a path, and for an element of a list its number")
        path = self._path(values[0])
        if len(values) == 2:
            if not values[1].isascii() or not values[1].isdecimal() or len(values[1]) > 6:
                raise self._refusal(f"found '{shortened(values[1])}', wanted the number of an element, from 0")
            path = (*path, int(values[1]))
        parent = self._walk(root, path[:-1], make=False)
        last = path[-1]
        if isinstance(last, int):
            del self._item(parent, path)[last]
        else:
            mapping = self._mapping(parent, path)
            if last not in mapping:
                raise self._absent(mapping, path)
            del mapping[last]
        return path

    def _path(self, text: str) -> FieldPath:
        parts: list[str | int] = []
        position = 0
        while position < len(text) or not parts:
            found = _PART.match(text, position)
            if found is None or (found["end"] and found.end() == len(text)):
                raise self._refusal(
                    f"found the path '{shortened(text)}', wanted names with dots, e.g. a.b or a.list[0]"
                )
            parts.append(found["quoted"] or found["plain"])
            parts += [int(index) for index in re.findall(r"\d+", found["indexes"])]
            position = found.end()
        if len(parts) > MAX_DEPTH:
            raise self._refusal(f"the path '{shortened(text)}' is deeper than {MAX_DEPTH}")
        return tuple(parts)

    def _walk(self, container: Any, path: FieldPath, *, make: bool, absent: Any = KeyError) -> Any:
        for length, part in enumerate(path, start=1):
            reached = path[:length]
            if isinstance(part, int):
                container = self._item(container, reached)[part]
                continue
            mapping = self._mapping(container, reached)
            if mapping.get(part) is None:
                if make:
                    mapping[part] = {}
                elif absent is not KeyError:
                    return absent
                else:
                    raise self._absent(mapping, reached)
            container = mapping[part]
        return container

    def _item(self, container: Any, path: FieldPath) -> list[Any]:
        index = path[-1]
        if not isinstance(container, list):
            raise self._refusal(f"{shown_path(path[:-1])} is {described(container)}, not a list")
        if not isinstance(index, int) or index >= len(container):
            raise self._refusal(f"{shown_path(path[:-1])} has {len(container)} elements, and none with number {index}")
        return container

    def _mapping(self, container: Any, path: FieldPath) -> dict[str, Any]:
        if not isinstance(container, dict):
            raise self._refusal(f"{shown_path(path)}: its parent is {described(container)}, not a mapping")
        return container

    def _absent(self, mapping: dict[str, Any], path: FieldPath) -> InvalidInput:
        return self._refusal(f"there is no {shown_path(path)}; there are: {', '.join(sorted(mapping)) or 'none'}")

    def _read(self, text: str) -> Any:
        if self.force_string:
            return text
        try:
            return json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return text

    def _refusal(self, message: str) -> InvalidInput:
        return InvalidInput(message, place=f"--{self.change.kind}")


def _split(assignment: str) -> tuple[str, str, str]:
    """At the first `=` that is not in a quoted name."""
    found = re.match(r'((?:"[^"]*"|[^="])*)(=?)(.*)', assignment, re.DOTALL)
    assert found is not None
    return found[1], found[2], found[3]


def _integer(text: str) -> WrittenInt:
    value = WrittenInt(text)
    value.written = text
    return value


def _float(text: str) -> WrittenFloat:
    value = WrittenFloat(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f"{text} is too large")
    value.written = text
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
