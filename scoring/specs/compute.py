"""A compute cluster's YAML."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from scoring.compute.cluster import Compute
from scoring.specs.fields import Integer, ResourceName, Text, TextMap, lowered
from scoring.specs.validation import Spec, refuse


class ComputeSpec(Spec):
    """Keys of `compute create`. Those of virtual machines and networks are taken and have no effect on this machine."""

    IGNORED: ClassVar[frozenset[str]] = frozenset(
        {
            "location",
            "identity",
            "ssh_public_access_enabled",
            "ssh_settings",
            "network_settings",
            "enable_node_public_ip",
        }
    )

    name: ResourceName
    type: Annotated[Literal["amlcompute"], BeforeValidator(lowered)] = "amlcompute"
    size: Text | None = None
    tier: Annotated[Literal["dedicated", "low_priority"], BeforeValidator(lowered)] = "dedicated"
    min_instances: Annotated[Integer, Field(ge=0, le=1000)] = 0
    max_instances: Annotated[Integer, Field(ge=1, le=1000)] = 4
    idle_time_before_scale_down: Annotated[Integer, Field(ge=0, le=86_400 * 7)] = 120
    worker_memory_mb: Annotated[Integer, Field(ge=64)] | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)

    location: Any = None
    identity: Any = None
    ssh_public_access_enabled: Any = None
    ssh_settings: Any = None
    network_settings: Any = None
    enable_node_public_ip: Any = None
    id: Any = None
    resource_id: Any = None
    provisioning_state: Any = None
    creation_context: Any = None
    nodes: Any = None
    usage: Any = None

    @model_validator(mode="after")
    def _in_order(self) -> ComputeSpec:
        if self.min_instances > self.max_instances:
            message = f"min_instances is {self.min_instances}, more than max_instances, {self.max_instances}"
            raise refuse(message, "min_instances")
        return self

    def compute(self) -> Compute:
        return Compute(
            name=self.name,
            type=self.type,
            size=self.size,
            tier=self.tier,
            worker_memory_mb=self.worker_memory_mb,
            min_instances=self.min_instances,
            max_instances=self.max_instances,
            idle_time_before_scale_down=self.idle_time_before_scale_down,
            description=self.description,
            tags=self.tags,
        )
