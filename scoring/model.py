"""A registered model: a name, a version, and immutable content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """`azureml:name:version`, resolved: `version` is never a label here."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"azureml:{self.name}:{self.version}"


NO_MODEL = ModelReference(name="", version="")
"""Of what runs without a model: commands, and most parallel steps."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One version of a model.

    path          folder in the registry that CONTAINS the registered file or folder by its base name; a worker sees it
                  as AZUREML_MODEL_DIR
    content_hash  sha256 over names and bytes; the same content under the same version is the same model
    """

    name: str
    version: str
    path: str
    content_hash: str
    type: str = "custom_model"
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    stage: str | None = None
    flavors: Mapping[str, Any] = field(default_factory=dict)
    is_archived: bool = False
    is_anonymous: bool = False
    created_at: datetime | None = None

    @property
    def reference(self) -> ModelReference:
        return ModelReference(name=self.name, version=self.version)
