"""Values as JSONB documents and back: any frozen dataclass of `scoring`, with its enums, times and nested values.

A document is read leniently: a missing field takes its default, an unknown one is left alone, so that a database
written by the version before, or after, can still be read.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from scoring.schedule import Trigger, trigger_from_dict, trigger_to_dict

T = TypeVar("T")

Json = Any
"""What json.dumps takes: dict, list, str, int, float, bool, None."""


def to_document(value: object) -> Json:
    """The JSON form of a value. Raises TypeError for a type that has none."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {storable(str(key)): to_document(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_document(item) for item in value]
    if _is_trigger(value):
        return trigger_to_dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_document(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no document form")


def from_document(kind: type[T], document: Mapping[str, Json]) -> T:
    """The value of the dataclass `kind` that `document` holds. Raises TypeError where a required field is missing."""
    hints = _hints(cast("Any", kind))
    given = {name: _read(hints[name], item) for name, item in document.items() if name in hints}
    return kind(**given)


def storable(text: str) -> str:
    """The text as Postgres can keep it: NUL and lone surrogates, which its UTF-8 has no place for, are spelled out."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_trigger(value: object) -> bool:
    return hasattr(value, "next_after")


def _meant(choices: Sequence[Any], item: Json) -> Any:
    """Of several dataclasses the one whose `kind` the document has; values that JSON tells apart are left as they are.

    Raises TypeError for a kind that none of them has.
    """
    if not isinstance(item, Mapping):
        return Any
    kinds = {
        field.default: choice for choice in choices for field in dataclasses.fields(choice) if field.name == "kind"
    }
    if item.get("kind") not in kinds:
        raise TypeError(f"found the kind {item.get('kind')!r}, known are: {', '.join(map(str, kinds))}")
    return kinds[item["kind"]]


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _read(hint: Any, item: Json) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if item is None:
            return None
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        return _read(choices[0] if len(choices) == 1 else _meant(choices, item), item)
    if origin is tuple:
        return tuple(_read(get_args(hint)[0], element) for element in item)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(get_args(hint)[1], element) for key, element in item.items()}
    if hint is Trigger:
        return trigger_from_dict(item)
    if hint is datetime:
        return datetime.fromisoformat(item)
    if hint is timedelta:
        return timedelta(seconds=item)
    if hint is float:
        return float(item)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(item)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_document(hint, item)
    return item
