"""A data asset's YAML."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from scoring.specs.fields import AssetName, Text, TextMap, Version, lowered
from scoring.specs.places import DataPath
from scoring.specs.references import bare_name
from scoring.specs.validation import Spec


def _datastore(value: Any) -> Any:
    return bare_name(value) if isinstance(value, str) else value


class DataSpec(Spec):
    """Keys of `data create`. Without a name it is anonymous, without a version the highest number so far plus one.

    datastore  where a local file or folder is copied to; the default datastore where it is not said
    """

    IGNORED: ClassVar[frozenset[str]] = frozenset({"auto_delete_setting"})

    path: DataPath
    name: AssetName | None = None
    version: Version | None = None
    type: Annotated[Literal["uri_folder", "uri_file", "mltable"], BeforeValidator(lowered)] = "uri_folder"
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    datastore: Annotated[AssetName, BeforeValidator(_datastore)] | None = None

    auto_delete_setting: Any = None
    id: Any = None
    content_hash: Any = None
    creation_context: Any = None
    latest_version: Any = None
    is_archived: Any = None
