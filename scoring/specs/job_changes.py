"""What its user may change of a job, at any time: how it is called and marked, never what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scoring.errors import InvalidInput
from scoring.job import Job
from scoring.specs.fields import Text, TextMap
from scoring.specs.validation import Spec

CHANGEABLE = ("display_name", "description", "tags", "properties")


class JobChangesSpec(Spec):
    """The fields given are replaced; the others stay."""

    display_name: Text | None = None
    description: Text | None = None
    tags: TextMap | None = None
    properties: TextMap | None = None

    def applied(self, job: Job) -> Job:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        for name in ("tags", "properties"):
            if name in given:
                given[name] = given[name] or {}
        return replace(job, **given)


def changes_of(shown: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """The changed fields of a job as `show` prints it. Raises InvalidInput for one that may not be changed."""
    names = [name for name in (*shown, *(n for n in changed if n not in shown)) if shown.get(name) != changed.get(name)]
    for name in names:
        if name not in CHANGEABLE:
            raise InvalidInput(f"it cannot be changed; allowed are {', '.join(CHANGEABLE)}", place=name)
    return {name: changed.get(name) for name in names}
