"""A data asset: a name and a version for a file, a folder, or a table of files, that jobs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class DataType(StrEnum):
    """How a job reads it."""

    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"
    MLTABLE = "mltable"


@dataclass(frozen=True, kw_only=True)
class DataAsset:
    """One version of a data asset.

    path          where it lies: `azureml://datastores/…` (local content was copied into the default datastore when it
                  was registered), or another location that is read at the time of the job
    content_hash  sha256 over names and bytes of what was copied, else over the location; never changes for a version
    """

    name: str
    version: str
    path: str
    content_hash: str
    type: DataType = DataType.URI_FOLDER
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    is_archived: bool = False
    is_anonymous: bool = False
    created_at: datetime | None = None
