"""One parse for every kind of document, and the wording of its refusals."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Tag, ValidationError
from pydantic_core import ErrorDetails

from scoring.errors import InvalidInput
from scoring.specs.document import Document, FieldPath, described


class Spec(BaseModel):
    """Base of all specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Spec)


def parse(kind: type[S], document: Document, *, context: Mapping[str, Any] | None = None) -> S:
    """The document as a spec. Raises InvalidInput for the first wrong field and says how many more there are.

    `context` is for the kind's own validators, beside the folder that paths are relative to.
    """
    value = {key: inner for key, inner in document.value.items() if key != "$schema"}
    try:
        return kind.model_validate(value, context={**(context or {}), "folder": document.folder})
    except ValidationError as error:
        raise _refusal(kind, document, error.errors(include_url=False)) from None


class _AtField(ValueError):
    """A refusal by a validator of a whole object, for one of its fields."""

    def __init__(self, message: str, path: FieldPath) -> None:
        super().__init__(message)
        self.path = path


def refuse(message: str, *path: str | int) -> ValueError:
    """For validators: the message is shown as it is, after the field's path, to which `path` is added."""
    return _AtField(message, path)


def _refusal(kind: type[Spec], document: Document, errors: list[ErrorDetails]) -> InvalidInput:
    found = [(_field_path(error["loc"]) + _inner_path(error), error) for error in errors]
    # an unknown or wrong key is more often the cause of a missing one than the other way round
    found.sort(key=lambda pair: (pair[1]["type"] == "missing", _line(document, pair[0])))
    path, error = found[0]
    more = f" ({len(found) - 1} more after this one)" if len(found) > 1 else ""
    return document.refusal(path, _worded(kind, error) + more)


def _line(document: Document, path: FieldPath) -> int:
    for length in range(len(path), -1, -1):
        origin = document.origins.get(path[:length])
        if origin is not None:
            return origin if isinstance(origin, int) else 0
    return 0


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _field_path(loc: tuple[str | int, ...]) -> FieldPath:
    """The author's path: pydantic also names the member of a union, which our specs tag as `<member>`."""
    return tuple(part for part in loc if not _is_tag(part) and part != "[key]")


def _inner_path(error: ErrorDetails) -> FieldPath:
    raised = error.get("ctx", {}).get("error")
    return raised.path if isinstance(raised, _AtField) else ()


_WANTED = {
    "string_type": "wanted text",
    "int_type": "wanted an integer",
    "int_parsing": "wanted an integer",
    "int_from_float": "wanted an integer",
    "int_parsing_size": "wanted a smaller integer",
    "bool_type": "wanted true or false",
    "bool_parsing": "wanted true or false",
    "dict_type": "wanted keys and values",
    "mapping_type": "wanted keys and values",
    "model_type": "wanted keys and values",
    "model_attributes_type": "wanted keys and values",
    "list_type": "wanted a list",
    "tuple_type": "wanted a list",
}


def _worded(kind: type[Spec], error: ErrorDetails) -> str:
    found, context, sort = described(error["input"]), error.get("ctx", {}), error["type"]
    if sort == "extra_forbidden":
        return _unknown_key(kind, error["loc"])
    if sort == "missing":
        return "missing; it is required"
    if sort in _WANTED:
        return f"found {found}, {_WANTED[sort]}"
    if sort in {"literal_error", "enum"}:
        return f"found {found}, allowed: {str(context['expected']).replace(chr(39), '').replace(' or ', ', ')}"
    if sort == "greater_than_equal":
        return f"found {found}, must be at least {context['ge']}"
    if sort == "less_than_equal":
        return f"found {found}, must be at most {context['le']}"
    if sort == "too_short":
        return f"found {found}, at least {context['min_length']} is needed"
    if sort == "string_too_long":
        return f"found {found}, at most {context['max_length']} characters are allowed"
    if sort == "value_error":
        return str(context["error"])
    return f"found {found}; {error['msg'][:1].lower()}{error['msg'][1:]}"


def _unknown_key(kind: type[Spec], loc: tuple[str | int, ...]) -> str:
    fixed: Mapping[str, str] = getattr(kind, "NOT_HERE", {})
    if len(loc) == 1 and loc[0] in fixed:
        return fixed[str(loc[0])]
    allowed = sorted(_keys_at(kind, loc[:-1]))
    near = difflib.get_close_matches(str(loc[-1]), allowed, n=1, cutoff=0.6)
    meant = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown key; {meant}allowed: {', '.join(allowed)}"


def _keys_at(kind: type[Spec], loc: tuple[str | int, ...]) -> set[str]:
    """Keys that the mapping at `loc` may have: walks the specs' annotations."""
    models: list[type[BaseModel]] = [kind]
    annotations: list[Any] = []
    for part in loc:
        if _is_tag(part):
            tagged = [a for a in annotations if any(isinstance(m, Tag) and m.tag == part for m in get_args(a)[1:])]
            models = [m for a in tagged for m in _models_in(a)] or models
        elif isinstance(part, str):
            fields = [m.model_fields[part] for m in models if part in m.model_fields]
            if not fields:
                continue  # a name that the author chose, such as a step's
            annotations = [a for f in fields for a in (*_members(f.annotation), *f.metadata)]
            models = [m for f in fields for m in _models_in(f.annotation)]
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _members(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _members(inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for inner in _members(annotation):
        if isinstance(inner, type) and get_origin(inner) is None and issubclass(inner, BaseModel):
            yield inner


def without_effect(spec: BaseModel) -> list[str]:
    """Paths of keys that were given, and are taken only so that files written for Azure need no change."""
    ignored: frozenset[str] = getattr(spec, "IGNORED", frozenset())
    found = []
    for name in sorted(spec.model_fields_set):
        value = getattr(spec, name)
        if name in ignored and value is not None:
            found.append(name)
        elif isinstance(value, BaseModel):
            found += [f"{name}.{inner}" for inner in without_effect(value)]
    return found
