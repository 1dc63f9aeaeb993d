"""A job as Azure's REST interface answers with it: what its own scripts and clients read.

The plain object of `shown` is a part of it, so that both `.status` and `.properties.status` are there.
"""

from __future__ import annotations

import json
from typing import Any

from scoring.components.binding import LiteralValue, Value
from scoring.job import Job, JobInput, JobInputType
from scoring.specs.job_input import OUTPUT_NAME
from scoring.specs.shown import Shown, time_text

JOB_TYPE = "Microsoft.MachineLearningServices/workspaces/batchEndpoints/deployments/jobs"

_KINDS = {JobInputType.URI_FILE: "UriFile", JobInputType.URI_FOLDER: "UriFolder", JobInputType.TABLE: "Table"}


def azure_job(job: Job, shown: Shown, *, scoring_uri: str, studio: str, output_folder: str) -> Shown:
    """`shown` is the job as every other route shows it, `studio` an address where a person can look at it."""
    deployment = job.deployment
    data = _input(job.input)
    return {
        **shown,
        "type": JOB_TYPE,
        "systemData": {"createdAt": time_text(job.created_at), "createdBy": "tidemill", "createdByType": "Application"},
        "properties": {
            "name": job.display_name,
            "description": job.description,
            "status": job.status.value,
            "provisioningState": "Succeeded",
            "inputData": {"input_data": data},
            "dataset": {"dataInputType": "DataUrl", "path": data["uri"]},
            "outputData": {OUTPUT_NAME: {"jobOutputType": "UriFolder", "uri": output_folder}},
            "output": {"datastoreId": None, "path": output_folder},
            "outputFileName": deployment.output_file_name,
            "miniBatchSize": deployment.batch_size.written,
            "errorThreshold": deployment.error_threshold,
            "loggingLevel": deployment.logging_level.capitalize(),
            "compute": {"target": deployment.compute, "instanceCount": deployment.instance_count},
            "retrySettings": {
                "maxRetries": deployment.retry_settings.max_retries,
                "timeout": duration_text(deployment.retry_settings.timeout),
            },
            "interactionEndpoints": {
                "Tracking": {"jobEndpointType": "Tracking", "endpoint": f"{scoring_uri}/{job.name}", "status": None},
                "Studio": {"jobEndpointType": "Studio", "endpoint": studio, "status": None},
            },
            "tags": dict(job.tags),
            "properties": {**shown["properties"], "azureml.parameters": _parameters(job)},
        },
    }


def azure_work(job: Job, shown: Shown, *, scoring_uri: str) -> Shown:
    """As `azure_job`, for what an invocation of a pipeline's deployment made, and for other pipelines and commands."""
    work = job.pipeline or job.command or job.parallel
    values = {} if work is None else work.inputs
    studio = shown["services"]["Studio"]["endpoint"]
    return {
        **shown,
        "type": JOB_TYPE,
        "systemData": {"createdAt": time_text(job.created_at), "createdBy": "tidemill", "createdByType": "Application"},
        "properties": {
            "name": job.display_name,
            "description": job.description,
            "status": job.status.value,
            "provisioningState": "Succeeded",
            "inputData": {name: _value(value) for name, value in values.items()},
            "outputData": {
                name: {"jobOutputType": _camel(output.type.value), "uri": output.path}
                for name, output in job.outputs.items()
            },
            "interactionEndpoints": {
                "Tracking": {"jobEndpointType": "Tracking", "endpoint": f"{scoring_uri}/{job.name}", "status": None},
                "Studio": {"jobEndpointType": "Studio", "endpoint": studio, "status": None},
            },
            "tags": dict(job.tags),
            "properties": dict(shown["properties"]),
        },
    }


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, LiteralValue):
        return {"jobInputType": "Literal", "value": str(value.value)}
    kind = "uri_folder" if value.type is None else value.type.value
    return {"jobInputType": _camel(kind), "uri": value.path, "mode": "ReadOnlyMount"}


def _camel(kind: str) -> str:
    """`uri_folder` is UriFolder."""
    words = {"mltable": "MLTable", "mlflow_model": "MLFlowModel"}
    return words.get(kind, "".join(part.capitalize() for part in kind.split("_")))


def _input(job_input: JobInput) -> dict[str, Any]:
    return {
        "jobInputType": _KINDS[job_input.type],
        "uri": job_input.source or job_input.path,
        "mode": "ReadOnlyMount",
    }


def _parameters(job: Job) -> str:
    """What the driver of a job on Azure is told; a text that holds JSON of texts."""
    deployment = job.deployment
    told = {
        "run_max_try": deployment.retry_settings.max_retries,
        "run_invocation_timeout": deployment.retry_settings.timeout,
        "mini_batch_size": deployment.batch_size.written,
        "error_threshold": deployment.error_threshold,
        "logging_level": deployment.logging_level.upper(),
        "process_count_per_node": deployment.max_concurrency_per_instance,
        "NodeCount": deployment.instance_count,
        "append_row_file_name": deployment.output_file_name,
    }
    return json.dumps({name: str(value) for name, value in told.items()})


def duration_text(seconds: int) -> str:
    """ISO 8601: 70 is `PT1M10S`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "H"), (minutes, "M"), (rest, "S"))
    return "PT" + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0S")
