"""Stream definitions for tests."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from ingestion.definition import StreamDefinition
from ingestion.definition_document import definition_of
from scoring.specs.document import load_document
from storage.preparation.statement import bind

SMALL: dict[str, Any] = {
    "name": "small",
    "window": {"type": "tumbling", "size": "10s"},
    "aggregates": {"count": "count", "mean": "mean"},
}


def a_definition(**changes: Any) -> StreamDefinition:
    """A small definition with some keys changed; None takes a key away."""
    document = {key: value for key, value in (SMALL | changes).items() if value is not None}
    return definition_of(document, bind=bind)


def written(text: str, file: str = "streams/s.yml") -> StreamDefinition:
    """The definition that a file of this content gives."""
    document = load_document(dedent(text).encode(), file=file)
    return definition_of(document.value, document, bind=bind)
