"""A registered component: a name, a version, and what it does, which never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from scoring.components.component import Component, ParallelComponent, PipelineComponent

ANONYMOUS_COMPONENT = "azureml_anonymous"
"""The name of components that steps and deployments hold inline; their version is their content's hash."""

_SAID = ("name", "version", "display_name", "description", "tags", "properties")
"""What is said about a component, and does not change what it does."""


@dataclass(frozen=True, kw_only=True)
class RegisteredComponent:
    """One version of a component.

    definition    what it does; the names in it are those of the time when it was made
    content_hash  of all that it does: command, code, environment, inputs, outputs, and those of its steps
    """

    name: str
    version: str
    content_hash: str
    definition: Component
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    is_archived: bool = False
    is_anonymous: bool = False
    created_at: datetime | None = None

    @property
    def component(self) -> Component:
        """The definition, with what is said about it now."""
        return replace(self.definition, **{field: getattr(self, field) for field in _SAID})

    def __str__(self) -> str:
        return f"azureml:{self.name}:{self.version}"


def content_hash(component: Component) -> str:
    """The same for components that do the same, whatever they are called."""
    return hashlib.sha256(json.dumps(_content(component), sort_keys=True).encode()).hexdigest()


def _content(component: Component) -> dict[str, Any]:
    if isinstance(component, PipelineComponent):
        content = _plain(replace(component, jobs=()))
        content["jobs"] = [
            {**_plain(replace(step, component=_NOTHING)), "name": step.name, "component": _content(step.component)}
            for step in component.jobs
        ]
        return content
    content = _plain(component)
    holder = content["task"] if isinstance(component, ParallelComponent) else content
    if holder["code"] is not None:
        holder["code"] = Path(holder["code"]).name  # the hash of the folder's content, wherever the registry lies
    return content


_NOTHING = PipelineComponent(name="", version="", jobs=())


def _plain(value: Any) -> dict[str, Any]:
    return {name: inner for name, inner in asdict(value).items() if name not in _SAID}
