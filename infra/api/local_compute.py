"""The cluster that needs not be made: this machine."""

from __future__ import annotations

from infra.api.parts import ServiceParts
from scoring.compute.cluster import Compute
from scoring.errors import NotFound

LOCAL_COMPUTE = "local"


def make_local_compute(parts: ServiceParts, name: str = LOCAL_COMPUTE) -> None:
    """`compute: local` (and a job's `serverless`) needs no cluster to be made first: it is this machine."""
    try:
        parts.catalog.compute(name)
    except NotFound:
        described = f"this machine; made by the first that said `compute: {name}`"
        parts.catalog.put(Compute(name=name, description=described, created_at=parts.clock.now()))
