"""A batch endpoint: the stable name that is invoked; its default deployment does the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`name` is lower case, 3 to 32 letters, digits and hyphens, beginning with a letter."""

    name: str
    default_deployment_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    auth_mode: str = "aad_token"
    created_at: datetime | None = None
    modified_at: datetime | None = None
