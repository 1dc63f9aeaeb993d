"""Compute clusters, their instances, and what they cost."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

from fastapi import APIRouter, Query, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.machine import sizes
from infra.api.parts import ServiceParts
from scoring.compute.cluster import Compute
from scoring.compute.fleet import Node
from scoring.errors import InvalidInput, NotFound
from scoring.specs.compute import ComputeSpec
from scoring.specs.shown import Shown, to_document
from scoring.specs.validation import parse


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(tags=["compute"])

    @routes.get("/compute", responses=answers(503))
    def list_computes() -> list[Shown]:
        return [_shown(compute) for compute in parts.listing.computes()]

    @routes.post("/compute", openapi_extra=documented(ComputeSpec), responses=answers(400, 503))
    def create_compute(body: Body) -> Shown:
        """Create the cluster, or replace its settings where it exists; its instances and their jobs go on."""
        return _stored(parse(ComputeSpec, body).compute())

    @routes.get("/compute/{name}", responses=answers(404, 503))
    def show_compute(name: str) -> Shown:
        """Its settings; how many instances it has, by state; what they have used since the service began."""
        return _shown(parts.catalog.compute(name))

    @routes.put("/compute/{name}", openapi_extra=documented(ComputeSpec), responses=answers(400, 404, 503))
    def update_compute(name: str, body: Body) -> Shown:
        """Replace the settings of a cluster that exists."""
        compute = parse(ComputeSpec, body).compute()
        if compute.name != name:
            raise InvalidInput(f"found '{compute.name}', but the address names {name}", place="name")
        parts.catalog.compute(name)
        return _stored(compute)

    @routes.delete("/compute/{name}", status_code=204, responses=answers(503))
    def delete_compute(name: str) -> Response:
        """Deployments that name it stay, and cannot be invoked until it is there again. Jobs on it go on."""
        try:
            parts.catalog.delete(parts.catalog.compute(name))
        except NotFound:
            pass
        parts.fleet.remove(name)
        return Response(status_code=204)

    @routes.get("/compute/{name}/nodes", responses=answers(404, 503))
    def list_nodes(name: str) -> list[Shown]:
        """Its instances as they are now."""
        parts.catalog.compute(name)
        return [_shown_node(node) for node in parts.fleet.nodes(name)]

    @routes.post("/compute/{name}/preempt", responses=answers(404, 409, 503))
    def preempt(name: str, node: Annotated[str | None, Query()] = None) -> Shown:
        """Take instances of a low-priority cluster away: `node`, or all. Their jobs go on where they were."""
        parts.fleet.configure(parts.catalog.compute(name))
        return {"name": name, "taken_away": list(parts.fleet.preempt(name, node))}

    @routes.get("/compute-sizes")
    def list_sizes() -> list[Shown]:
        """There is one size: this machine."""
        return sizes()

    @routes.get("/compute-usage", responses=answers(503))
    def list_usage() -> list[Shown]:
        """How much of this machine the clusters take: instances, and worker processes with their cores."""
        computes = parts.listing.computes()
        nodes = [node for compute in computes for node in parts.fleet.nodes(compute.name)]
        busy = [node for node in nodes if node.job is not None]
        (machine,) = sizes()
        return [
            {"name": "clusters", "unit": "Count", "current_value": len(computes), "limit": None},
            {
                "name": "instances",
                "unit": "Count",
                "current_value": len(nodes),
                "limit": sum(compute.max_instances for compute in computes),
            },
            {
                "name": "busy worker processes",
                "unit": "Count",
                "current_value": sum(len(node.pids) for node in busy),
                "limit": None,
            },
            {"name": "cores", "unit": "Count", "current_value": None, "limit": machine["v_cpus"]},
        ]

    def _stored(compute: Compute) -> Shown:
        try:
            created_at = parts.catalog.compute(compute.name).created_at
        except NotFound:
            created_at = parts.clock.now()
        parts.catalog.put(replace(compute, created_at=created_at))
        stored = parts.catalog.compute(compute.name)
        parts.fleet.configure(stored)
        return _shown(stored)

    def _shown(compute: Compute) -> Shown:
        states = [node.state.value for node in parts.fleet.nodes(compute.name)]
        counted = {state: states.count(state) for state in ("idle", "running", "leaving")}
        return {**to_document(compute), "nodes": counted, "usage": asdict(parts.fleet.usage(compute.name))}

    return routes


def _shown_node(node: Node) -> Shown:
    return {
        "name": node.name,
        "node_id": f"{node.compute}/{node.name}",
        "node_state": node.state.value,
        "run_id": node.job,
        "pids": list(node.pids),
        "memory_mb": None if node.memory_bytes is None else round(node.memory_bytes / (1 << 20), 1),
        "core_seconds": round(node.core_seconds, 3),
        "worker_seconds": round(node.worker_seconds, 3),
        "jobs": node.jobs,
        "started_at": node.started_at.isoformat(),
        "idle_since": None if node.idle_since is None else node.idle_since.isoformat(),
    }
