"""Deployments of a batch endpoint."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter, Response

from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.local_compute import LOCAL_COMPUTE, make_local_compute
from infra.api.parts import ServiceParts
from infra.api.pipeline_deployments import is_of_pipeline, pipeline_deployment
from scoring.deployment import Deployment
from scoring.environments.conda import wanted_of_conda
from scoring.environments.images import is_azures_own
from scoring.errors import InvalidInput, NotFound
from scoring.model import Model
from scoring.ports import AnyDeployment
from scoring.specs.deployment import FlatDeploymentSpec, ModelDeploymentSpec, parse_deployment
from scoring.specs.document import Document
from scoring.specs.pipeline_deployment import PipelineDeploymentSpec
from scoring.specs.references import parse_reference
from scoring.specs.shown import Shown, to_document


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/batch-endpoints/{endpoint_name}/deployments", tags=["batch deployments"])

    @routes.get("", responses=answers(404, 503))
    def list_deployments(endpoint_name: str) -> list[Shown]:
        endpoint = parts.catalog.endpoint(endpoint_name.lower())
        return [to_document(deployment) for deployment in parts.listing.deployments(endpoint.name)]

    @routes.post(
        "",
        openapi_extra=documented(ModelDeploymentSpec, FlatDeploymentSpec, PipelineDeploymentSpec),
        responses=answers(400, 404, 409, 503),
    )
    def create_deployment(
        endpoint_name: str, body: Body, set_default: bool = False, skip_script_validation: bool = False
    ) -> Shown:
        """Create or replace. Jobs that were invoked before keep the deployment as it was."""
        put = put_deployment(
            parts, endpoint_name, body, set_default=set_default, skip_script_validation=skip_script_validation
        )
        return to_document(put)

    @routes.get("/{name}", responses=answers(404, 503))
    def show_deployment(endpoint_name: str, name: str) -> Shown:
        return to_document(parts.catalog.deployment(endpoint_name.lower(), name))

    @routes.put(
        "/{name}",
        openapi_extra=documented(ModelDeploymentSpec, FlatDeploymentSpec, PipelineDeploymentSpec),
        responses=answers(400, 404, 409, 503),
    )
    def update_deployment(endpoint_name: str, name: str, body: Body, skip_script_validation: bool = False) -> Shown:
        """Replace a deployment that exists. Jobs that were invoked before keep it as it was."""
        parts.catalog.deployment(endpoint_name.lower(), name)
        if body.value.get("name") != name:
            raise InvalidInput(f"the address names {name}, and the body another", place="name")
        return to_document(put_deployment(parts, endpoint_name, body, skip_script_validation=skip_script_validation))

    @routes.delete("/{name}", status_code=204, responses=answers(503))
    def delete_deployment(endpoint_name: str, name: str) -> Response:
        """An endpoint whose default it was has none then. Deleting what is not there is done."""
        delete(parts, endpoint_name, name)
        return Response(status_code=204)

    return routes


def put_deployment(
    parts: ServiceParts,
    endpoint_name: str,
    document: Document,
    *,
    set_default: bool = False,
    skip_script_validation: bool = False,
) -> AnyDeployment:
    """Create or replace; everything that can be wrong is refused before anything is stored."""
    named = document.value.get("endpoint_name")
    if isinstance(named, str) and named.lower() != endpoint_name.lower():
        raise InvalidInput(f"found '{named}', but the address names {endpoint_name.lower()}", place="endpoint_name")
    deployment: AnyDeployment
    if is_of_pipeline(document):
        deployment = pipeline_deployment(parts, document)
    else:
        deployment = _registered(parts, parse_deployment(document), skip_script_validation)
    parts.catalog.put(_since(parts, deployment))
    if set_default:
        endpoint = parts.catalog.endpoint(deployment.endpoint_name)
        parts.catalog.put(replace(endpoint, default_deployment_name=deployment.name))
    return parts.catalog.deployment(deployment.endpoint_name, deployment.name)


def delete(parts: ServiceParts, endpoint_name: str, name: str) -> bool:
    """An endpoint whose default it was has none then. False where there was nothing to delete."""
    try:
        deployment = parts.catalog.deployment(endpoint_name.lower(), name)
        endpoint = parts.catalog.endpoint(deployment.endpoint_name)
    except NotFound:
        return False
    if endpoint.default_deployment_name == name:
        parts.catalog.put(replace(endpoint, default_deployment_name=None))
    parts.catalog.delete(deployment)
    return True


def _since(parts: ServiceParts, deployment: AnyDeployment) -> AnyDeployment:
    """When it was created first, and when it was changed last."""
    try:
        before = parts.catalog.deployment(deployment.endpoint_name, deployment.name)
    except NotFound:
        return deployment
    return replace(deployment, created_at=before.created_at, modified_at=deployment.created_at)


def _registered(parts: ServiceParts, spec: FlatDeploymentSpec, skip_script_validation: bool) -> Deployment:
    """The deployment with its code and model in the registry; what can be wrong is found before anything is named."""
    parts.catalog.endpoint(spec.endpoint_name)
    _check_compute(parts, spec.compute)
    model: Model | None = None
    if isinstance(spec.model, str):
        reference = parse_reference(spec.model)
        model = parts.catalog.model(reference.name, reference.version)
    kind = model.type if model is not None else spec.model.type if not isinstance(spec.model, str) else None
    code = _code(parts, spec, kind, skip_script_validation)
    if not isinstance(spec.model, str) and not parts.references.path(spec.model.path, place="model.path").exists():
        raise InvalidInput(f"there is no file or folder {spec.model.path}", place="model.path")
    environment = _environment(parts, spec)
    if model is None:
        assert not isinstance(spec.model, str)
        try:
            model = parts.registration.model(spec.model)
        except InvalidInput as error:
            message = str(error).removeprefix(f"{error.place}: ")
            raise InvalidInput(message, place=f"model.{error.place}" if error.place else "model") from None
    if spec.compute == LOCAL_COMPUTE:
        make_local_compute(parts)
    deployment = spec.deployment(model=model.reference, code=code, environment=environment)
    return replace(deployment, created_at=parts.clock.now())


def _check_compute(parts: ServiceParts, name: str) -> None:
    try:
        parts.catalog.compute(name)
    except NotFound:
        if name != LOCAL_COMPUTE:
            raise


def _code(parts: ServiceParts, spec: FlatDeploymentSpec, model_type: str | None, unchecked: bool) -> str | None:
    configuration = spec.code_configuration
    if configuration is None:
        if model_type != "mlflow_model":
            raise InvalidInput(
                f"missing; only a model of type mlflow_model is scored without it, and this one is {model_type}",
                place="code_configuration",
            )
        return None
    folder = parts.references.path(configuration.code, place="code_configuration.code")
    code = parts.registry.add_code(folder, configuration.scoring_script)
    if not unchecked:
        _check_syntax(code.path / configuration.scoring_script, configuration.scoring_script)
    return str(code.path)


def _environment(parts: ServiceParts, spec: FlatDeploymentSpec) -> str | None:
    """The version that the deployment keeps; what its conda file asks for is understood now, not by the first job."""
    given = spec.environment
    if given is None:
        return None
    if isinstance(given, str):
        try:
            environment = parts.references.environment(given)
        except NotFound:
            if is_azures_own(given):
                return given
            raise
    else:
        if given.conda_file is not None:
            wanted_of_conda(given.conda_file, place="environment.conda_file")
        environment = parts.registration.environment(given)
    return str(environment)


def _check_syntax(script: Path, name: str) -> None:
    try:
        ast.parse(script.read_bytes(), filename=name)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{name}:{line}" if line else name
        reason = getattr(error, "msg", None) or str(error)
        raise InvalidInput(f"{where} is no Python: {reason}", place="code_configuration.scoring_script") from None
