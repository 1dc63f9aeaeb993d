"""A model's YAML: on its own, and inline in a deployment."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from scoring.specs.fields import AssetName, LocalPath, Text, TextMap, Version, lowered
from scoring.specs.validation import Spec

ModelType = Annotated[Literal["custom_model", "mlflow_model"], BeforeValidator(lowered)]


class InlineModel(Spec):
    """A model written into a deployment. Without a name it is anonymous: named by its content, and shared."""

    path: LocalPath
    name: AssetName | None = None
    version: Version | None = None
    type: ModelType = "custom_model"
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)


class ModelSpec(Spec):
    """Keys of `model create`. Without a version it is the highest number so far plus one."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"datastore", "stage"})

    name: AssetName
    path: LocalPath
    version: Version | None = None
    type: ModelType = "custom_model"
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)

    datastore: Any = None
    stage: Any = None
    id: Any = None
    content_hash: Any = None
    creation_context: Any = None
