"""How Azure's request bodies are read: names without case, durations of ISO 8601, the place of every value kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scoring.errors import InvalidInput
from scoring.specs.document import Document, FieldPath, described, shown_path

Named = dict[str, tuple[FieldPath, Any]]
"""Lower-case name -> (path as written, value)."""


class AzureReader:
    """Collects what a body says under our own names; `origins` keeps where each was written."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.origins: dict[FieldPath, str] = {}

    def names(self, value: Any, path: FieldPath) -> Named:
        """An object's keys in lower case. Raises InvalidInput for what is no object, or has a key twice."""
        if not isinstance(value, Mapping):
            raise InvalidInput(f"found {described(value)}, wanted an object", place=shown_path(path))
        found: Named = {}
        for key, inner in value.items():
            if key.lower() in found:
                raise InvalidInput("the key is given twice, in another case", place=shown_path((*path, key)))
            found[key.lower()] = ((*path, key), inner)
        return found

    def known(self, value: Any, path: FieldPath, *allowed: str) -> Named:
        """As `names`; any other key than those allowed is refused."""
        found = self.names(value, path)
        for name, (inner, _) in found.items():
            if name not in {word.lower() for word in allowed}:
                raise InvalidInput(f"unknown key; allowed: {', '.join(allowed)}", place=shown_path(inner))
        return found

    def put(self, target: FieldPath, path: FieldPath, value: Any) -> None:
        """Say `value` under our own path `target`; null says nothing."""
        if value is None:
            return
        container = self.value
        for part in target[:-1]:
            container = container.setdefault(str(part), {})
        container[str(target[-1])] = value
        self.origins[target] = shown_path(path)

    def document(self) -> Document:
        """What was said, so far, as a document; a refusal of a field names the caller's own words for it."""
        return Document(value=self.value, origins=dict(self.origins))


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.0+)?S)?)?", re.IGNORECASE)


def seconds_of(value: Any, path: FieldPath) -> Any:
    """`PT1M10S` is 70; a number stays."""
    if not isinstance(value, str) or not value.upper().startswith("P"):
        return value
    found = _DURATION.fullmatch(value)
    if found is None or len(value) > 30 or not any(found.groups()):
        raise InvalidInput(f"found {described(value)}, wanted a duration such as PT30S", place=shown_path(path))
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
