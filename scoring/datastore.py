"""A datastore: a name for a place where files lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LOCAL_FOLDER = "local_folder"
"""Our own type: a folder of this machine. Azure's types are kept as descriptions and cannot be read from here."""

DEFAULT_DATASTORE = "workspaceblobstore"


@dataclass(frozen=True, kw_only=True)
class Datastore:
    """`path` is the absolute folder of a local one; `settings` are the keys of one of Azure's, without credentials."""

    name: str
    type: str = LOCAL_FOLDER
    path: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False
    created_at: datetime | None = None
