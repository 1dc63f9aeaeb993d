"""A batch endpoint's YAML."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from scoring.endpoint import Endpoint
from scoring.specs.fields import EndpointName, ResourceName, Text, TextMap, lowered
from scoring.specs.validation import Spec

AuthMode = Annotated[Literal["aad_token", "key", "aml_token"], BeforeValidator(lowered)]


class EndpointDefaults(Spec):
    deployment_name: ResourceName | None = None


class IdentitySpec(Spec):
    """Whose rights a job has on Azure; here it has those of the service."""

    type: Annotated[
        Literal["system_assigned", "user_assigned", "system_assigned,user_assigned", "none"], BeforeValidator(lowered)
    ]
    user_assigned_identities: list[Any] | None = None
    principal_id: Any = None
    tenant_id: Any = None


class EndpointSpec(Spec):
    """Keys of `batch-endpoint create`; those that `show` adds are taken too: its output can be created again."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"identity", "location"})

    name: EndpointName
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    auth_mode: AuthMode = "aad_token"
    defaults: EndpointDefaults | None = None

    identity: IdentitySpec | None = None
    location: Any = None
    id: Any = None
    provisioning_state: Any = None
    scoring_uri: Any = None
    openapi_uri: Any = None
    creation_context: Any = None

    def endpoint(self) -> Endpoint:
        return Endpoint(
            name=self.name,
            default_deployment_name=self.defaults.deployment_name if self.defaults else None,
            description=self.description,
            tags=self.tags,
            properties=self.properties,
            auth_mode=self.auth_mode,
        )
