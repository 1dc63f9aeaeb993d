"""A parallel step with its values: what is run of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scoring.components.binding import OutputTarget, Value
from scoring.components.component import ParallelComponent


@dataclass(frozen=True, kw_only=True)
class ParallelJob:
    """Fields as those of `scoring.components.jobs.CommandJob`."""

    component: ParallelComponent
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, OutputTarget] = field(default_factory=dict)
    compute: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    timeout: int | None = None
