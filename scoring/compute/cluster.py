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
    tier                         dedicated, or low_priority: its instances may be taken away at any time
    worker_memory_mb             memory that a worker process may allocate, in MiB; None bears all
    """

    name: str
    type: str = "amlcompute"
    size: str | None = None
    tier: str = "dedicated"
    min_instances: int = 0
    max_instances: int = 4
    idle_time_before_scale_down: int = 120
    worker_memory_mb: int | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
