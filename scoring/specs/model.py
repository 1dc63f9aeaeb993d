"""A model's YAML: on its own, and inline in a deployment."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from scoring.specs.fields import AssetName, FreeMap, Text, TextMap, Version, lowered
from scoring.specs.places import ContentPath
from scoring.specs.validation import Spec

ModelType = Annotated[Literal["custom_model", "mlflow_model"], BeforeValidator(lowered)]


class _Common(Spec):
    """Keys of both forms; those that `show` adds are taken too: its output can be created again."""

    IGNORED: ClassVar[frozenset[str]] = frozenset(
        {"datastore", "system_metadata", "default_deployment_template", "allowed_deployment_templates"}
    )

    path: ContentPath
    version: Version | None = None
    type: ModelType = "custom_model"
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    stage: Text | None = None
    flavors: FreeMap = Field(default_factory=dict)

    datastore: Any = None
    system_metadata: Any = None
    default_deployment_template: Any = None
    allowed_deployment_templates: Any = None
    id: Any = None
    content_hash: Any = None
    creation_context: Any = None
    utc_time_created: Any = None
    job_name: Any = None
    latest_version: Any = None
    is_archived: Any = None


class InlineModel(_Common):
    """A model written into a deployment. Without a name it is anonymous: named by its content, and shared."""

    name: AssetName | None = None


class ModelSpec(_Common):
    """Keys of `model create`. Without a version it is the highest number so far plus one."""

    name: AssetName
