"""Values as the flat JSON objects that `show` and `list` print. The keys are Azure's, and ours where Azure has none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scoring.components.jobs import PipelineDeployment
from scoring.compute.cluster import Compute
from scoring.deployment import Deployment, InputFormat, OutputAction, OutputFormat
from scoring.endpoint import Endpoint
from scoring.job import Job, JobInput, JobInputType, JobKind, JobOutput, JobStatus, JobUsage
from scoring.model import Model
from scoring.schedule import Schedule, trigger_to_dict
from scoring.specs.shown_assets import shown_asset
from scoring.specs.shown_steps import pipeline_deployment, shown_scheduled, shown_work

Shown = dict[str, Any]
"""What json.dumps takes. Keys that a kind has are always there; a value that is not known is None."""


def to_document(
    value: Compute | Endpoint | Deployment | PipelineDeployment | Model | Job | Schedule, *, base_url: str = ""
) -> Shown:
    """The object that `show` prints. `base_url` is where the service answers, for the addresses in it."""
    if isinstance(value, Compute):
        return _compute(value)
    if isinstance(value, Endpoint):
        return _endpoint(value, base_url)
    if isinstance(value, Deployment):
        return _deployment(value)
    if isinstance(value, PipelineDeployment):
        created = _created(value.created_at, value.modified_at)
        return {**pipeline_deployment(value), "creation_context": created}
    if isinstance(value, Model):
        return shown_asset(value)
    if isinstance(value, Schedule):
        return _schedule(value)
    return _job(value, base_url)


def _compute(compute: Compute) -> Shown:
    return {
        "id": f"/compute/{compute.name}",
        "name": compute.name,
        "type": compute.type,
        "size": compute.size,
        "tier": compute.tier,
        "min_instances": compute.min_instances,
        "max_instances": compute.max_instances,
        "idle_time_before_scale_down": compute.idle_time_before_scale_down,
        "worker_memory_mb": compute.worker_memory_mb,
        "description": compute.description,
        "tags": dict(compute.tags),
        "provisioning_state": "Succeeded",
        "creation_context": _created(compute.created_at),
    }


def _endpoint(endpoint: Endpoint, base_url: str) -> Shown:
    return {
        "id": f"/batch-endpoints/{endpoint.name}",
        "name": endpoint.name,
        "description": endpoint.description,
        "tags": dict(endpoint.tags),
        "properties": dict(endpoint.properties),
        "auth_mode": endpoint.auth_mode,
        "defaults": {"deployment_name": endpoint.default_deployment_name},
        "location": "local",
        "provisioning_state": "Succeeded",
        "scoring_uri": f"{base_url}/batch-endpoints/{endpoint.name}/jobs",
        "openapi_uri": f"{base_url}/openapi.json",
        "creation_context": _created(endpoint.created_at, endpoint.modified_at),
    }


def _deployment(deployment: Deployment) -> Shown:
    writes_rows = deployment.output_action is OutputAction.APPEND_ROW
    return {
        "id": f"/batch-endpoints/{deployment.endpoint_name}/deployments/{deployment.name}",
        "name": deployment.name,
        "endpoint_name": deployment.endpoint_name,
        "description": deployment.description,
        "tags": dict(deployment.tags),
        "properties": dict(deployment.properties),
        "model": str(deployment.model),
        "code_configuration": None
        if deployment.code_configuration is None
        else {
            "code": deployment.code_configuration.code,
            "scoring_script": deployment.code_configuration.scoring_script,
        },
        "environment": deployment.environment,
        "environment_variables": dict(deployment.environment_variables),
        "compute": deployment.compute,
        "resources": {"instance_count": deployment.instance_count},
        "max_concurrency_per_instance": deployment.max_concurrency_per_instance,
        "mini_batch_size": deployment.batch_size.written,
        "input_format": deployment.input_format.value,
        # None where a deployment cannot have it: what is shown can be given back
        "input_header": None if deployment.input_format is InputFormat.FILES else deployment.input_header,
        "output_action": deployment.output_action.value,
        "output_file_name": deployment.output_file_name if writes_rows else None,
        "output_format": deployment.output_format.value,
        "output_header": deployment.output_header if deployment.output_format is OutputFormat.CSV else None,
        "output_source": deployment.output_source,
        "retry_settings": {
            "max_retries": deployment.retry_settings.max_retries,
            "timeout": deployment.retry_settings.timeout,
            "bisect": deployment.retry_settings.bisect,
        },
        "error_threshold": deployment.error_threshold,
        "logging_level": deployment.logging_level,
        "provisioning_state": "Succeeded",
        "creation_context": _created(deployment.created_at, deployment.modified_at),
    }


def _job(job: Job, base_url: str) -> Shown:
    common = _any_job(job, base_url)
    return {**common, **(_scoring(job) if job.kind is JobKind.SCORING else _work(job))}


def _any_job(job: Job, base_url: str) -> Shown:
    deployment = job.deployment
    address = f"{base_url}/jobs/{job.name}"
    ended = job.ended_at if job.status.is_terminal else None
    return {
        "id": f"/batch-endpoints/{job.endpoint_name}/jobs/{job.name}" if job.endpoint_name else f"/jobs/{job.name}",
        "name": job.name,
        "display_name": job.display_name,
        "description": job.description,
        "experiment_name": job.experiment_name or job.endpoint_name,
        "tags": dict(job.tags),
        "properties": dict(job.properties),
        "status": job.status.value,
        "phase": _PHASES[job.status],
        "status_reason": job.status_reason,
        "error": job.error,
        "notes": list(job.notes),
        "progress": _progress(job),
        "usage": _usage(job.usage),
        "endpoint_name": job.endpoint_name or None,
        "deployment_name": deployment.name if job.endpoint_name else None,
        "compute": deployment.compute,
        "trigger": job.trigger,
        "schedule_name": job.schedule_name,
        "fire_time": time_text(job.fire_time),
        "round": job.round,
        "is_archived": job.archived,
        "creation_context": _created(job.created_at),
        "created_at": time_text(job.created_at),
        "started_at": time_text(job.started_at),
        "ended_at": time_text(ended),
        "services": {
            "Studio": {"endpoint": address, "type": "Studio"},
            "Tracking": {"endpoint": base_url, "type": "Tracking"},
        },
    }


def _scoring(job: Job) -> Shown:
    deployment = job.deployment
    return {
        # what Azure calls an invocation; its one step is `batchscoring`
        "type": "pipeline",
        "properties": _of_endpoint(job, "azureml.batchjob"),
        "model": str(deployment.model),
        "deployment": _deployment(deployment),
        "input": input_document(job.input),
        "output": {**output_document(job.output), "file_name": _deployment(deployment)["output_file_name"]},
    }


def _work(job: Job) -> Shown:
    """Of a pipeline that an endpoint's invocation made, the properties are those of one."""
    shown = shown_work(job)
    return {**shown, "properties": _of_endpoint(job, "azureml.pipelinejob")} if job.endpoint_name else shown


def _of_endpoint(job: Job, kind: str) -> Shown:
    return {
        "azureml.batchrun": "true",
        "azureml.jobtype": kind,
        "azureml.endpointname": job.endpoint_name,
        "azureml.deploymentname": job.deployment.name,
        **job.properties,
    }


_PHASES = {
    JobStatus.NOT_STARTED: "waiting for other steps",
    JobStatus.QUEUED: "waiting for a runner",
    JobStatus.PREPARING: "preparing input and environment",
    JobStatus.PROVISIONING: "starting instances",
    JobStatus.STARTING: "starting workers",
    JobStatus.RUNNING: "scoring",
    JobStatus.FINALIZING: "writing the output",
    JobStatus.COMPLETED: "done",
    JobStatus.FAILED: "failed",
    JobStatus.CANCEL_REQUESTED: "ending by request",
    JobStatus.CANCELED: "canceled",
}


def _progress(job: Job) -> Shown:
    """`items_per_second` is of late while it runs and of all its time when it has ended; both in items."""
    progress = job.progress
    done = progress.items_succeeded + progress.items_failed
    left = max(progress.items - done, 0)
    rate = progress.items_per_second
    if job.status.is_terminal and job.started_at and job.ended_at and done:
        rate = done / max((job.ended_at - job.started_at).total_seconds(), 0.001)
    return {
        "mini_batches": progress.mini_batches,
        "mini_batches_done": progress.mini_batches_done,
        "items": progress.items,
        "items_done": done,
        "items_succeeded": progress.items_succeeded,
        "items_failed": progress.items_failed,
        "items_left": left,
        "items_per_second": None if rate is None else round(rate, 3),
        "seconds_left": round(left / rate, 1) if rate and left and not job.status.is_terminal else None,
        "retries": progress.retries,
    }


def _usage(usage: JobUsage) -> Shown:
    return {
        "worker_seconds": round(usage.worker_seconds, 3),
        "core_seconds": None if usage.core_seconds is None else round(usage.core_seconds, 3),
        "instances": usage.instances,
        "processes": usage.processes,
    }


def _schedule(schedule: Schedule) -> Shown:
    return {
        "id": f"/schedules/{schedule.name}",
        "name": schedule.name,
        "display_name": schedule.display_name,
        "description": schedule.description,
        "tags": dict(schedule.tags),
        "properties": dict(schedule.properties),
        "trigger": trigger_to_dict(schedule.trigger),
        "create_job": _create_job(schedule),
        "is_enabled": schedule.is_enabled,
        "next_fire": time_text(schedule.next_fire),
        "last_fire": time_text(schedule.last_fire),
        "last_job_name": schedule.last_job_name,
        "last_skip": schedule.last_skip,
        "missed": schedule.missed,
        "last_version": schedule.last_version,
        "provisioning_state": "Succeeded",
        "creation_context": _created(schedule.created_at),
    }


def _create_job(schedule: Schedule) -> Shown:
    if schedule.work is not None:
        return shown_scheduled(schedule.work)
    return {
        "type": "batch_endpoint",
        "endpoint": schedule.endpoint_name,
        "deployment": schedule.deployment_name,
        "input": input_document(schedule.input),
        "output": output_document(schedule.output),
    }


def input_document(job_input: JobInput) -> Shown:
    """Only tables have joins, a pivot and versions; they are left out where they mean nothing."""
    shown: Shown = {"type": job_input.type.value, "path": job_input.path}
    if job_input.source is not None:
        shown["source"] = job_input.source
    if job_input.type is not JobInputType.TABLE:
        return shown
    pivot = job_input.pivot
    return {
        **shown,
        "join": list(job_input.join),
        "pivot": None
        if pivot is None
        else {"index": list(pivot.index), "columns": pivot.columns, "values": list(pivot.values)},
        "incremental": job_input.incremental,
        "from_version": job_input.from_version,
        "to_version": job_input.to_version,
    }


def output_document(output: JobOutput) -> Shown:
    return {
        "type": "uri_folder",
        "path": output.path,
        "predictions": output.predictions,
        "overwrite": output.overwrite,
    }


def time_text(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _created(moment: datetime | None, modified: datetime | None = None) -> Shown:
    return {"created_at": time_text(moment), "last_modified_at": time_text(modified or moment)}
