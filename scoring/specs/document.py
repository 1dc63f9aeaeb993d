"""A document as its author wrote it: plain values, and the file and line of every one of them.

The loader is stricter than YAML, so that a file means what it seems to mean and cannot harm the reader: no anchors or
aliases (a kilobyte of them expands to gigabytes), no tags, no duplicate keys, YAML 1.2's booleans (`on`, `off`, `yes`
and `no` are strings), at most 1 MB, 20,000 values and 32 levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from scoring.errors import InvalidInput

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Keys and elements; refusing each of a million unknown keys takes a minute."""

FieldPath = tuple[str | int, ...]


class WrittenInt(int):
    """An integer that remembers how it was written, for fields that hold text (`version: 010`)."""

    written: str


class WrittenFloat(float):
    """A float that remembers how it was written: `version: 1.10` is not `1.1`."""

    written: str


def shown_path(path: FieldPath) -> str:
    """`settings.retry_settings.timeout`, `join[0]`; empty for the document itself."""
    text = ""
    for part in path:
        named = part if isinstance(part, int) else shortened(part)
        text += f"[{named}]" if isinstance(part, int) else f".{named}" if text else str(named)
    return text


@dataclass(frozen=True, kw_only=True)
class Document:
    """`value` with where it came from.

    file     as the user named it; None for a request body
    folder   what relative paths in it are relative to; None where they are not allowed
    origins  field path -> line number, or the words `--set a.b=c`; a path that is absent has its parent's origin
    """

    value: Mapping[str, Any]
    file: str | None = None
    folder: Path | None = None
    origins: Mapping[FieldPath, int | str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Its own file, resolved, as the first of those that hold what it names; none for a request body."""
        return () if self.file is None else (str(Path(self.file).resolve()),)

    def place(self, path: FieldPath) -> str | None:
        """`file:line` of a field, or the option that set it; None for a request body."""
        for length in range(len(path), -1, -1):
            origin = self.origins.get(path[:length])
            if isinstance(origin, str):
                return origin
            if origin is not None and self.file is not None:
                return f"{self.file}:{origin}"
        return f"{self.file}:1" if self.file is not None else None

    def refusal(self, path: FieldPath, message: str) -> InvalidInput:
        """The error for a field: its place, its path, and the message."""
        named, place = shown_path(path), self.place(path)
        if place is None:
            return InvalidInput(message, place=named or None)
        return InvalidInput(f"{named}: {message}" if named else message, place=place)

    def with_value(self, path: FieldPath, value: Any, *, origin: str) -> Document:
        """The document with one field set, as an option on the command line does; missing parents are made."""
        origins = {known: line for known, line in self.origins.items() if known[: len(path)] != path}
        for length in range(1, len(path) + 1):
            if length == len(path) or path[:length] not in origins:
                origins[path[:length]] = origin
        return replace(self, value=_with_value(self, self.value, path, value, origin), origins=origins)

    def with_settings(self, assignments: Sequence[str]) -> Document:
        """The document after `--set a.b=c` for each assignment. Values stay strings; validation casts them."""
        document = self
        for assignment in assignments:
            key, equals, value = assignment.partition("=")
            path = tuple(key.split("."))
            if not equals or not all(path):
                raise InvalidInput(f"found '{shortened(assignment)}', wanted path=value, e.g. a.b=c", place="--set")
            if len(path) > MAX_DEPTH:
                raise InvalidInput(f"the path of '{shortened(assignment)}' is deeper than {MAX_DEPTH}", place="--set")
            refuse_characters(key + value, place="--set")
            document = document.with_value(path, value, origin=f"--set {shortened(assignment)}")
        return document


def _with_value(document: Document, container: Any, path: FieldPath, value: Any, origin: str) -> Any:
    head, rest = path[0], path[1:]
    if not isinstance(container, Mapping):
        raise InvalidInput(f"{shown_path(path)}: its parent is {described(container)}, not a mapping", place=origin)
    inner = container.get(head) if isinstance(head, str) else None
    changed = value if not rest else _with_value(document, {} if inner is None else inner, rest, value, origin)
    return {**container, str(head): changed}


def empty_document(folder: Path | None = None) -> Document:
    """A document without a file: what options on the command line start from."""
    return Document(value={}, folder=folder)


def body_document(value: object) -> Document:
    """A request body as a document. Raises InvalidInput for one that is no mapping, too deep, or holds a NUL."""
    if not isinstance(value, dict):
        raise InvalidInput(f"the body is {described(value)}, wanted an object")
    if _values_in(value) > MAX_VALUES:
        raise InvalidInput(f"the body holds more than {MAX_VALUES:,} values, the most that is read")
    _check_body(value, 1)
    return Document(value=value)


def _values_in(value: object) -> int:
    """How many values it holds; counting ends soon after too many."""
    count, left = 0, [value]
    while left and count <= MAX_VALUES:
        inner = left.pop()
        count += 1
        if isinstance(inner, (dict, list)):
            left += inner.values() if isinstance(inner, dict) else inner
    return count


def _check_body(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"the body is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        refuse_characters(value, place="body")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_body(key, depth)
            _check_body(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_body(inner, depth + 1)


def read_document(file: str | Path) -> Document:
    """Read a YAML file. Raises InvalidInput naming file and line for anything that the strict loader does not take."""
    path = Path(file)
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InvalidInput("no such file", place=str(file)) from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot be read: {error}", place=str(file)) from None
    return load_document(content, file=str(file), folder=path.resolve().parent)


def load_document(content: bytes, *, file: str, folder: Path | None = None) -> Document:
    """As `read_document`, from bytes that were read already."""
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"the file is larger than {MAX_BYTES} bytes, the most that is read", place=f"{file}:1")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput("the file is not UTF-8 text", place=f"{file}:{line}") from None
    value, origins = _Reader(text, file).document()
    if not isinstance(value, dict):
        raise InvalidInput(f"the file holds {described(value)}, wanted keys and values", place=f"{file}:1")
    return Document(value=value, file=file, folder=folder, origins=origins)


class _Reader:
    """Builds plain values from the parser's events; an anchor is refused before it can be repeated."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self.origins: dict[FieldPath, int | str] = {}
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self.line = 1
        self.reached: FieldPath = ()

    def document(self) -> tuple[object, dict[FieldPath, int | str]]:
        try:
            self._next()  # the stream's start
            event = self._next()
            if isinstance(event, yaml.StreamEndEvent):
                raise self._refusal("the file is empty")
            value = self._value(self._next(), (), 1)
            self._next()  # the document's end
            if not isinstance(self._next(), yaml.StreamEndEvent):
                raise self._refusal("a second document begins here; one document a file is allowed")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else self.line
            # the parser notices an unclosed bracket one line after the last
            line = min(line, self.text.count("\n") + 1)
            said = error.problem or error.context or "it cannot be parsed"
            after = f"{shown_path(self.reached)}: " if self.reached else ""
            raise InvalidInput(f"{after}not YAML: {said}", place=f"{self.file}:{line}") from None
        except yaml.reader.ReaderError as error:
            said = "control characters are not allowed"
            line = self.text.count("\n", 0, error.position) + 1
            raise InvalidInput(f"not YAML: {said}", place=f"{self.file}:{line}") from None
        except yaml.YAMLError as error:
            raise self._refusal(f"not YAML: {str(error).splitlines()[0]}") from None
        return value, self.origins

    def _refusal(self, message: str, path: FieldPath = ()) -> InvalidInput:
        named = shown_path(path)
        return InvalidInput(f"{named}: {message}" if named else message, place=f"{self.file}:{self.line}")

    def _next(self) -> Any:
        event = next(self.events)
        if event.start_mark is not None:
            self.line = event.start_mark.line + 1
        return event

    def _value(self, event: Any, path: FieldPath, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise self._refusal(f"nested deeper than {MAX_DEPTH} levels", path[:3])
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refusal("anchors (&) and aliases (*) are not allowed; write the value out", path)
        if event.tag is not None and event.tag != "tag:yaml.org,2002:str":
            raise self._refusal(f"tags are not allowed, found {shortened(event.tag)}", path)
        self.origins.setdefault(path, self.line)
        if len(self.origins) > MAX_VALUES:
            raise self._refusal(f"the file holds more than {MAX_VALUES:,} values, the most that is read")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(event, (*path, len(items)), depth + 1))
            return items
        mapping: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            inside = self.reached = (*path, key)
            if key in mapping:
                raise self._refusal(f"the key is given twice, first in line {self.origins[inside]}", inside)
            self.origins[inside] = self.line
            mapping[key] = self._value(self._next(), inside, depth + 1)
        return mapping

    def _key(self, event: Any, path: FieldPath) -> str:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refusal("anchors (&) and aliases (*) are not allowed; write the value out", path)
        if not isinstance(event, yaml.ScalarEvent) or event.tag not in {None, "tag:yaml.org,2002:str"}:
            raise self._refusal("a key must be a plain word", path)
        refuse_characters(event.value, place=f"{self.file}:{self.line}")
        return str(event.value)

    def _scalar(self, event: Any, path: FieldPath) -> object:
        refuse_characters(event.value, place=f"{self.file}:{self.line}: {shown_path(path)}")
        if event.tag is not None or not event.implicit[0]:
            return event.value
        try:
            return _plain(event.value)
        except ValueError:
            raise self._refusal("the number is too long", path) from None


_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _plain(text: str) -> object:
    """An unquoted scalar by YAML 1.2's core schema. Raises ValueError for an integer of thousands of digits."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        integer = WrittenInt(text[2:] if base != 10 else text, base)
        integer.written = text
        return integer
    if _FLOAT.fullmatch(text):
        number = WrittenFloat(re.sub(r"\.(?=[iInN])", "", text))
        number.written = text
        return number
    return text


# what no store keeps: NUL (Postgres) and half of a surrogate pair (UTF-8)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def refuse_characters(text: str, *, place: str) -> None:
    """Raises InvalidInput for a character that no store keeps."""
    found = _UNSTORABLE.search(text)
    if found:
        raise InvalidInput(f"the character U+{ord(found.group()):04X} is not allowed", place=place)


def described(value: object) -> str:
    """What was found, for a refusal: `the text 'x'`, `the number 3`, `a list`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (WrittenInt, WrittenFloat)):
        return f"the number {shortened(value.written)}"
    if isinstance(value, (int, float)):
        return f"the number {shortened(str(value))}"
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"


def shortened(text: str, limit: int = 60) -> str:
    """At most `limit` characters, for a message; what cannot be printed is a question mark."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
