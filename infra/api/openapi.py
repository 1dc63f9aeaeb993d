"""The OpenAPI document: what FastAPI makes of the routes, with the bodies' specs, examples of them, tags and access."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from infra.api.access import OPEN
from scoring.specs.component import CommandComponentSpec, ParallelComponentSpec
from scoring.specs.compute import ComputeSpec
from scoring.specs.data import DataSpec
from scoring.specs.datastore import DATASTORE_SPECS
from scoring.specs.deployment import FlatDeploymentSpec, ModelDeploymentSpec
from scoring.specs.endpoint import EndpointSpec
from scoring.specs.environment import EnvironmentSpec
from scoring.specs.invocation import InvocationSpec
from scoring.specs.job_changes import JobChangesSpec
from scoring.specs.model import ModelSpec
from scoring.specs.pipeline import PipelineComponentSpec
from scoring.specs.pipeline_deployment import PipelineDeploymentSpec
from scoring.specs.pipeline_invocation import PipelineInvocationSpec
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec
from scoring.specs.schedule import ScheduleSpec
from scoring.specs.token import TokenSpec
from scoring.specs.validation import Spec

TAGS: Mapping[str, str] = {
    "state": "Whether the service is well, and how far the stream is.",
    "compute": "Clusters of worker processes.",
    "models": "Registered models: immutable, versioned content.",
    "data": "Registered data: what jobs read, by name and version.",
    "environments": "Registered environments: what scoring scripts need installed.",
    "components": "Registered components: steps of pipelines, and pipelines themselves.",
    "datastores": "Names for places where files lie.",
    "uploads": "Content of clients on other machines, addressed by its hash.",
    "batch endpoints": "Stable names that are invoked.",
    "batch deployments": "What does an endpoint's work: model, scoring script, compute.",
    "invocations": "The scoring address of an endpoint, for our own bodies and Azure's.",
    "jobs": "Pipelines, commands, and what became of invocations.",
    "schedules": "Endpoints that are invoked by themselves.",
    "access tokens": "Who may speak to the service.",
    "Azure's management interface": "The same endpoints, deployments and jobs at Azure's addresses, in its words.",
}

EXAMPLES: Mapping[type[Spec], Mapping[str, Any]] = {
    ComputeSpec: {"name": "batch-cluster", "type": "amlcompute", "min_instances": 0, "max_instances": 2},
    ModelSpec: {"name": "digits", "type": "custom_model", "path": "/data/models/digits"},
    DataSpec: {"name": "images", "type": "uri_folder", "path": "/data/images"},
    EnvironmentSpec: {
        "name": "torch-batch",
        "image": "python:3.12",
        "conda_file": {"dependencies": ["python=3.12", {"pip": ["torch"]}]},
    },
    CommandComponentSpec: {
        "name": "prepare",
        "command": "python prepare.py --images ${{inputs.images}} --out ${{outputs.small}}",
        "code": "/data/code",
        "inputs": {"images": {"type": "uri_folder"}},
        "outputs": {"small": {"type": "uri_folder"}},
    },
    ParallelComponentSpec: {
        "name": "score",
        "type": "parallel",
        "inputs": {"images": {"type": "uri_folder"}},
        "outputs": {"rows": {"type": "uri_folder"}},
        "input_data": "${{inputs.images}}",
        "mini_batch_size": "10",
        "task": {
            "type": "run_function",
            "code": "/data/code",
            "entry_script": "score.py",
            "append_row_to": "${{outputs.rows}}",
        },
    },
    PipelineComponentSpec: {
        "name": "prepare_and_score",
        "type": "pipeline",
        "inputs": {"images": {"type": "uri_folder"}},
        "outputs": {"rows": {"type": "uri_folder"}},
        "jobs": {
            "prepare": {"component": "azureml:prepare@latest", "inputs": {"images": "${{parent.inputs.images}}"}},
            "score": {
                "component": "azureml:score:1",
                "inputs": {"images": "${{parent.jobs.prepare.outputs.small}}"},
                "outputs": {"rows": "${{parent.outputs.rows}}"},
            },
        },
    },
    EndpointSpec: {"name": "digits", "description": "reads handwriting", "tags": {"team": "vision"}},
    ModelDeploymentSpec: {
        "type": "model",
        "name": "torch-dpl",
        "endpoint_name": "digits",
        "model": "azureml:digits@latest",
        "code_configuration": {"code": "/data/code", "scoring_script": "batch_driver.py"},
        "compute": "azureml:batch-cluster",
        "settings": {"mini_batch_size": 10, "retry_settings": {"max_retries": 3, "timeout": 30}},
    },
    FlatDeploymentSpec: {
        "name": "torch-dpl",
        "endpoint_name": "digits",
        "model": {"path": "/data/models/digits"},
        "code_configuration": {"code": "/data/code", "scoring_script": "batch_driver.py"},
        "compute": "batch-cluster",
        "mini_batch_size": 10,
    },
    InvocationSpec: {
        "inputs": {"images": {"type": "uri_folder", "path": "azureml:images@latest"}},
        "mini_batch_size": 5,
        "output_file_name": "predictions.csv",
    },
    PipelineJobSpec: {
        "type": "pipeline",
        "inputs": {"images": {"type": "uri_folder", "path": "azureml:images@latest"}},
        "settings": {"default_compute": "azureml:batch-cluster"},
        "jobs": {
            "count": {
                "command": "ls ${{inputs.images}} | wc -l > ${{outputs.counted}}/count.txt",
                "inputs": {"images": "${{parent.inputs.images}}"},
                "outputs": {"counted": None},
            },
            "show": {
                "command": "cat ${{inputs.counted}}/count.txt",
                "inputs": {"counted": "${{parent.jobs.count.outputs.counted}}"},
            },
        },
    },
    CommandJobSpec: {
        "type": "command",
        "command": "python train.py --rate ${{inputs.rate}} --out ${{outputs.model}}",
        "code": "/data/code",
        "inputs": {"rate": 0.1},
        "outputs": {"model": {"type": "uri_folder"}},
        "compute": "azureml:batch-cluster",
    },
    PipelineDeploymentSpec: {
        "type": "pipeline",
        "name": "prepare-and-score",
        "endpoint_name": "digits",
        "component": "azureml:prepare_and_score@latest",
        "settings": {"default_compute": "batch-cluster", "continue_on_step_failure": False},
    },
    PipelineInvocationSpec: {
        "inputs": {"images": {"type": "uri_folder", "path": "azureml:images@latest"}, "threshold": 0.5},
        "outputs": {"rows": {"path": "azureml://datastores/workspaceblobstore/paths/rows/${{name}}"}},
    },
    JobChangesSpec: {"display_name": "the first try", "tags": {"kept": "yes"}},
    ScheduleSpec: {
        "name": "nightly",
        "trigger": {"type": "cron", "expression": "0 2 * * *", "time_zone": "UTC"},
        "create_job": {
            "type": "batch_endpoint",
            "endpoint": "digits",
            "input": {"type": "uri_folder", "path": "azureml:images@latest"},
        },
    },
    TokenSpec: {"name": "nightly-scripts"},
}
"""A body of each kind as somebody would send it; a test parses them."""

_SPECS: tuple[type[Spec], ...] = (*EXAMPLES, *DATASTORE_SPECS.values())


def document_bodies(app: FastAPI) -> None:
    """Routes read their bodies themselves, to name what is wrong in them; here their specs come into the document."""
    generated: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generated()
        components = document.setdefault("components", {})
        if "securitySchemes" not in components:
            _, definitions = models_json_schema(
                [(spec, "validation") for spec in _SPECS], ref_template="#/components/schemas/{model}"
            )
            schemas = components.setdefault("schemas", {})
            schemas.update(definitions["$defs"])
            for spec, example in EXAMPLES.items():
                schemas[spec.__name__]["examples"] = [dict(example)]
            document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            _document_refusals(document)
            # nothing is wanted until a token has been made
            document["security"] = [{}, {"token": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _document_refusals(document: dict[str, Any]) -> None:
    """Every route but the open ones may want a token."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    for path, methods in document["paths"].items():
        for route in methods.values() if path not in OPEN else ():
            refused = {"description": "A token is required, or another one.", "content": content}
            route["responses"].setdefault("401", refused)
