"""Deployments of pipelines, and invoking them."""

from __future__ import annotations

import uuid_utils

from infra.api.job_creation import checked, stored
from infra.api.parts import ServiceParts
from scoring.components.component import PipelineComponent
from scoring.components.jobs import PipelineDeployment, PipelineJob, PipelineSettings
from scoring.errors import InvalidInput, ScoringError
from scoring.invoke import chosen_deployment
from scoring.job import Job, JobKind
from scoring.pipeline.planning import new_pipeline_job
from scoring.specs.document import Document
from scoring.specs.fields import lowered
from scoring.specs.pipeline_deployment import PipelineDeploymentSpec, parse_pipeline_deployment
from scoring.specs.pipeline_invocation import as_defaults, invoked_pipeline, parse_pipeline_invocation


def is_of_pipeline(document: Document) -> bool:
    return bool(lowered(document.value.get("type")) == "pipeline")


def pipeline_deployment(parts: ServiceParts, document: Document) -> PipelineDeployment:
    """The value, all that it names registered. Raises InvalidInput, NotFound and Conflict before anything is stored."""
    spec = parse_pipeline_deployment(document)
    parts.catalog.endpoint(spec.endpoint_name)
    component, of_job = _component(parts, spec)
    settings = spec.settings.settings(continues=True).with_defaults_of(of_job)
    run = checked(parts, PipelineJob(component=component, settings=settings))
    assert isinstance(run, PipelineJob)
    return PipelineDeployment(
        name=spec.name,
        endpoint_name=spec.endpoint_name,
        component=run.component,
        settings=settings,
        description=spec.description,
        tags=spec.tags,
        properties=spec.properties,
        created_at=parts.clock.now(),
    )


def _component(parts: ServiceParts, spec: PipelineDeploymentSpec) -> tuple[PipelineComponent, PipelineSettings]:
    """What it runs; of a job its settings, too."""
    if spec.component is not None:
        return parts.components.pipeline(spec.component), PipelineSettings()
    given = spec.job_definition
    if isinstance(given, str):
        job = parts.jobs.get(given)
        if job.kind is not JobKind.PIPELINE or job.pipeline is None:
            raise InvalidInput(f"job {given} is no pipeline", place="job_definition")
        work = job.pipeline
    else:
        assert given is not None
        work = parts.components.pipeline_job(given)
    made = parts.components.inline(as_defaults(work.component, work.inputs))
    assert isinstance(made, PipelineComponent)
    return made, work.settings


def deployment_to_invoke(
    parts: ServiceParts, endpoint_name: str, document: Document, header: str | None
) -> PipelineDeployment | None:
    """The pipeline's deployment that is meant; None where a model's is, or where none can be found."""
    named = document.value.get("deployment")
    try:
        endpoint = parts.catalog.endpoint(endpoint_name.lower())
        wished = named if isinstance(named, str) else header
        found = parts.catalog.deployment(endpoint.name, chosen_deployment(endpoint, wished))
    except ScoringError:
        return None
    return found if isinstance(found, PipelineDeployment) else None


def invoked(
    parts: ServiceParts, deployment: PipelineDeployment, document: Document, request_key: str | None = None
) -> Job:
    """The queued job. Everything that can be known to be wrong is refused before it is stored."""
    spec = parse_pipeline_invocation(document)
    if spec.endpoint not in {None, deployment.endpoint_name}:
        message = f"found '{spec.endpoint}', but the address names {deployment.endpoint_name}"
        raise InvalidInput(message, place="endpoint")
    work = checked(parts, invoked_pipeline(spec, deployment, document))
    assert isinstance(work, PipelineJob)
    name = work.name or str(uuid_utils.uuid7())
    return stored(parts, new_pipeline_job(name, work, now=parts.clock.now(), deployment=deployment), request_key)
