"""Endpoints and deployments as Azure's management interface writes them: bodies to our words, values to its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scoring.components.jobs import PipelineDeployment
from scoring.deployment import Deployment, OutputAction
from scoring.endpoint import Endpoint
from scoring.errors import InvalidInput
from scoring.specs.azure_body import AzureReader, Named, seconds_of
from scoring.specs.document import Document, FieldPath, described, shown_path
from scoring.specs.shown import Shown, time_text
from scoring.specs.shown_azure import duration_text

_TYPE = "Microsoft.MachineLearningServices/workspaces/batchEndpoints"

_ROOT = ("id", "name", "type", "location", "tags", "kind", "identity", "sku", "systemData", "properties")


def endpoint_document(body: Document, name: str) -> Document:
    """The body of `PUT …/batchEndpoints/NAME` for `EndpointSpec`. Raises InvalidInput naming the caller's own words."""
    reader = AzureReader()
    inner = _resource(reader, body, name)
    fields = reader.known(
        inner[1], inner[0], "authMode", "defaults", "description", "properties", "keys", "scoringUri", "swaggerUri",
        "provisioningState",
    )  # fmt: skip
    if "authmode" in fields:
        where, given = fields["authmode"]
        modes = {"aadtoken": "aad_token", "key": "key", "amltoken": "aml_token"}
        if str(given).lower() not in modes:
            raise InvalidInput(f"found {described(given)}, allowed: AADToken, Key, AMLToken", place=shown_path(where))
        reader.put(("auth_mode",), where, modes[str(given).lower()])
    if fields.get("defaults", ((), None))[1] is not None:
        defaults = reader.known(fields["defaults"][1], fields["defaults"][0], "deploymentName")
        if "deploymentname" in defaults:
            reader.put(("defaults", "deployment_name"), *defaults["deploymentname"])
    for key in ("description", "properties"):
        if key in fields:
            reader.put((key,), *fields[key])
    return reader.document()


def deployment_document(body: Document, endpoint_name: str, name: str) -> Document:
    """The body of `PUT …/batchEndpoints/E/deployments/NAME` for the flat form of a deployment. Raises InvalidInput."""
    reader = AzureReader()
    where, inner = _resource(reader, body, name)
    reader.put(("endpoint_name",), where, endpoint_name)
    fields = reader.known(inner, where, *_DEPLOYMENT_KEYS)
    configuration = fields.get("deploymentconfiguration", (where, None))
    if configuration[1] is not None and _kind_of(reader, configuration[1], configuration[0]) == _PIPELINE:
        _pipeline(reader, fields, *configuration)
        return reader.document()
    for key, (path, given) in fields.items():
        rule = _DEPLOYMENT_RULES.get(key)
        if rule is not None and given is not None:
            rule(reader, path, given)
    return reader.document()


def _resource(reader: AzureReader, body: Document, name: str) -> tuple[FieldPath, Any]:
    root = reader.known(body.value, (), *_ROOT)
    if "name" in root and root["name"][1] != name:
        raise InvalidInput(f"found {described(root['name'][1])}, but the address names {name}", place="name")
    reader.put(("name",), ("name",), name)
    if "tags" in root:
        reader.put(("tags",), *root["tags"])
    if "properties" not in root:
        raise InvalidInput("missing; it is required", place="properties")
    return root["properties"]


Rule = Callable[[AzureReader, FieldPath, Any], None]


def _plain(*target: str) -> Rule:
    return lambda reader, path, given: reader.put(target, path, given)


def _parts(**targets: tuple[str, ...]) -> Rule:
    """An object of which some fields are ours; those without a target are read over."""

    def rule(reader: AzureReader, path: FieldPath, given: Any) -> None:
        fields = reader.names(given, path)
        for name, (where, value) in fields.items():
            if name not in targets:
                raise InvalidInput(f"unknown key; allowed: {', '.join(targets)}", place=shown_path(where))
            if targets[name]:
                reader.put(targets[name], where, seconds_of(value, where) if name == "timeout" else value)

    return rule


def _model(reader: AzureReader, path: FieldPath, given: Any) -> None:
    fields = reader.known(given, path, "referenceType", "assetId", "path", "datastoreId", "jobId")
    if "assetid" not in fields:
        raise InvalidInput("missing; wanted a registered model's id: {referenceType: Id, assetId: …}",
                           place=shown_path((*path, "assetId")))  # fmt: skip
    reader.put(("model",), *fields["assetid"])


def _output_action(reader: AzureReader, path: FieldPath, given: Any) -> None:
    actions = {"appendrow": "append_row", "summaryonly": "summary_only"}
    if str(given).lower() not in actions:
        raise InvalidInput(f"found {described(given)}, allowed: AppendRow, SummaryOnly", place=shown_path(path))
    reader.put(("output_action",), path, actions[str(given).lower()])


_PIPELINE = "pipelinecomponent"


def _kind_of(reader: AzureReader, given: Any, path: FieldPath) -> str:
    where, kind = reader.names(given, path).get("deploymentconfigurationtype", (path, "Model"))
    if str(kind).lower() not in {"model", _PIPELINE}:
        raise InvalidInput(f"found {described(kind)}, allowed: Model, PipelineComponent", place=shown_path(where))
    return str(kind).lower()


def _pipeline(reader: AzureReader, fields: Named, path: FieldPath, given: Any) -> None:
    """A pipeline's component by its id, with settings as texts; keys of models have no place beside it."""
    for key, (where, value) in fields.items():
        if key not in {"deploymentconfiguration", "description", "properties", "provisioningstate"} and value:
            raise InvalidInput("only deployments of models have it", place=shown_path(where))
    reader.put(("type",), path, "pipeline")
    for key in ("description", "properties"):
        if key in fields:
            reader.put((key,), *fields[key])
    inner = reader.known(given, path, "deploymentConfigurationType", "componentId", "settings", "description", "tags")
    if "componentid" not in inner:
        message = "missing; wanted a registered component's id: {referenceType: Id, assetId: …}"
        raise InvalidInput(message, place=shown_path((*path, "componentId")))
    where, component = inner["componentid"]
    asset = reader.known(component, where, "referenceType", "assetId")
    if "assetid" not in asset:
        raise InvalidInput("missing; it is required", place=shown_path((*where, "assetId")))
    reader.put(("component",), *asset["assetid"])
    where, settings = inner.get("settings", (path, None))
    for name, (place, value) in reader.names(settings or {}, where).items():
        reader.put(("settings", _SETTINGS.get(name, name)), place, value)


_SETTINGS = {
    "defaultcompute": "default_compute",
    "defaultdatastore": "default_datastore",
    "continueonstepfailure": "continue_on_step_failure",
    "forcererun": "force_rerun",
}
"""In a client's words, and in those of the file, in which most send them."""


_DEPLOYMENT_RULES: Mapping[str, Rule] = {
    "codeconfiguration": _parts(
        codeid=("code_configuration", "code"), scoringscript=("code_configuration", "scoring_script")
    ),
    "environmentid": _plain("environment"),
    "environmentvariables": _plain("environment_variables"),
    "compute": _plain("compute"),
    "description": _plain("description"),
    "errorthreshold": _plain("error_threshold"),
    "logginglevel": _plain("logging_level"),
    "maxconcurrencyperinstance": _plain("max_concurrency_per_instance"),
    "minibatchsize": _plain("mini_batch_size"),
    "model": _model,
    "outputaction": _output_action,
    "outputfilename": _plain("output_file_name"),
    "properties": _plain("properties"),
    "resources": _parts(instancecount=("resources", "instance_count"), instancetype=(), properties=()),
    "retrysettings": _parts(maxretries=("retry_settings", "max_retries"), timeout=("retry_settings", "timeout")),
}

_DEPLOYMENT_KEYS = (
    "codeConfiguration", "environmentId", "environmentVariables", "compute", "description", "errorThreshold",
    "loggingLevel", "maxConcurrencyPerInstance", "miniBatchSize", "model", "outputAction", "outputFileName",
    "properties", "resources", "retrySettings", "deploymentConfiguration", "provisioningState", "partitionKeys",
)  # fmt: skip


def azure_endpoint(endpoint: Endpoint, *, arm_id: str, base_url: str, operation: str) -> Shown:
    """`operation` is where a client may ask whether the change was made: older ones look for it in the answer."""
    return {
        "id": arm_id,
        "name": endpoint.name,
        "type": _TYPE,
        "location": "local",
        "kind": None,
        "identity": None,
        "tags": dict(endpoint.tags),
        "systemData": _system_data(endpoint),
        "properties": {
            "description": endpoint.description,
            "authMode": {"aad_token": "AADToken", "aml_token": "AMLToken"}.get(endpoint.auth_mode, "Key"),
            "defaults": {"deploymentName": endpoint.default_deployment_name},
            "properties": {**endpoint.properties, "AzureAsyncOperationUri": operation},
            "scoringUri": f"{base_url}/batch-endpoints/{endpoint.name}/jobs",
            "swaggerUri": f"{base_url}/openapi.json",
            "provisioningState": "Succeeded",
        },
    }


def azure_deployment(deployment: Deployment, *, arm_id: str, workspace: str, operation: str) -> Shown:
    code, model = deployment.code_configuration, deployment.model
    environment = deployment.environment
    return {
        "id": arm_id,
        "name": deployment.name,
        "type": f"{_TYPE}/deployments",
        "location": "local",
        "tags": dict(deployment.tags),
        "systemData": _system_data(deployment),
        "properties": {
            "description": deployment.description,
            "model": {"referenceType": "Id", "assetId": f"{workspace}/models/{model.name}/versions/{model.version}"},
            "codeConfiguration": None if code is None else {"codeId": code.code, "scoringScript": code.scoring_script},
            "environmentId": environment,
            "environmentVariables": dict(deployment.environment_variables),
            "compute": f"{workspace}/computes/{deployment.compute}",
            "resources": {"instanceCount": deployment.instance_count},
            "maxConcurrencyPerInstance": deployment.max_concurrency_per_instance,
            "miniBatchSize": deployment.batch_size.written,
            "outputAction": "AppendRow" if deployment.output_action is OutputAction.APPEND_ROW else "SummaryOnly",
            "outputFileName": deployment.output_file_name,
            "retrySettings": {
                "maxRetries": deployment.retry_settings.max_retries,
                "timeout": duration_text(deployment.retry_settings.timeout),
            },
            "errorThreshold": deployment.error_threshold,
            "loggingLevel": deployment.logging_level.capitalize(),
            "properties": {**deployment.properties, "AzureAsyncOperationUri": operation},
            "provisioningState": "Succeeded",
        },
    }


def azure_pipeline_deployment(deployment: PipelineDeployment, *, arm_id: str, workspace: str, operation: str) -> Shown:
    component, settings = deployment.component, deployment.settings
    texts = {
        "default_compute": settings.default_compute,
        "default_datastore": settings.default_datastore,
        "continue_on_step_failure": str(settings.continue_on_step_failure).lower(),
        "force_rerun": str(settings.force_rerun).lower(),
    }
    return {
        "id": arm_id,
        "name": deployment.name,
        "type": f"{_TYPE}/deployments",
        "location": "local",
        "tags": dict(deployment.tags),
        "systemData": _system_data(deployment),
        "properties": {
            "description": deployment.description,
            "deploymentConfiguration": {
                "deploymentConfigurationType": "PipelineComponent",
                "componentId": {
                    "referenceType": "Id",
                    "assetId": f"{workspace}/components/{component.name}/versions/{component.version}",
                },
                "settings": {name: text for name, text in texts.items() if text is not None},
            },
            "properties": {**deployment.properties, "AzureAsyncOperationUri": operation},
            "provisioningState": "Succeeded",
        },
    }


def _system_data(value: Endpoint | Deployment | PipelineDeployment) -> Shown:
    return {
        "createdAt": time_text(value.created_at),
        "lastModifiedAt": time_text(value.modified_at or value.created_at),
        "createdBy": "tidemill",
        "createdByType": "Application",
    }
