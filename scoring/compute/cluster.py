"""A compute cluster in Azure Machine Learning's words: how many instances may run, and how long idle ones stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Compute:
    """An `amlcompute` cluster; an instance is a group of worker processes on this machine.

    idle_time_before_scale_down  seconds that an idle instance stays warm
    size                         a VM name; accepted and kept, as scripts carry it, without effect here
    """

    name: str
    type: str = "amlcompute"
    size: str | None = None
    tier: str = "dedicated"
    min_instances: int = 0
    max_instances: int = 4
    idle_time_before_scale_down: int = 120
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
