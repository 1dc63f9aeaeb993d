"""`tidemill batch-deployment`: what does an endpoint's work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from infra.cli.command import (
    Changes,
    Noun,
    body,
    confirm,
    connected,
    endpoint_option,
    file_option,
    generic_update,
    name_option,
    placed,
    set_option,
    written,
    yes_option,
)

if TYPE_CHECKING:
    from scoring.specs.deployment import FlatDeploymentSpec
    from scoring.specs.document import Document
    from scoring.specs.pipeline_deployment import PipelineDeploymentSpec

_OF_COMPONENT = ("inputs", "outputs", "jobs")
_LISTED = (
    "id",
    "name",
    "model",
    "code_configuration",
    "environment",
    "compute",
    "tags",
    "creation_context",
    "provisioning_state",
)


@click.group("batch-deployment", cls=Noun)
def batch_deployment() -> None:
    """Deployments of a batch endpoint: a model, a scoring script and a compute; or a pipeline."""


@batch_deployment.command()
@click.option("-f", "--file", type=click.Path(), required=True, help="YAML file that describes it.")
@click.option("-n", "--name", help="Its name; beats the file's.")
@click.option("-e", "--endpoint-name", help="The endpoint; beats the file's.")
@click.option("--set-default", is_flag=True, help="Make it the endpoint's default deployment.")
@click.option("--skip-script-validation", is_flag=True, help="Do not check the scoring script's syntax.")
@set_option
def create(
    file: str,
    name: str | None,
    endpoint_name: str | None,
    set_default: bool,
    skip_script_validation: bool,
    sets: tuple[str, ...],
) -> Any:
    """Create a deployment, or replace it; jobs that were invoked before keep it as it was.

    Example: tidemill batch-deployment create --file deployment.yml --set-default
    """
    document = written(file, sets, name=name, endpoint_name=endpoint_name)
    spec = _parsed(document)
    with connected() as client, placed(document):
        return client.batch_deployments.create(
            spec.endpoint_name, body(spec), set_default=set_default, skip_script_validation=skip_script_validation
        )


def _parsed(document: Document) -> FlatDeploymentSpec | PipelineDeploymentSpec:
    """Of a model, or with `type: pipeline` of a pipeline."""
    from scoring.specs.deployment import parse_deployment
    from scoring.specs.fields import lowered
    from scoring.specs.pipeline_deployment import parse_pipeline_deployment

    if lowered(document.value.get("type")) == "pipeline":
        return parse_pipeline_deployment(document)
    return parse_deployment(document)


@batch_deployment.command()
@name_option
@endpoint_option
@file_option
@click.option("--skip-script-validation", is_flag=True, help="Do not check the scoring script's syntax.")
@generic_update
def update(name: str, endpoint_name: str, file: str | None, skip_script_validation: bool, changes: Changes) -> Any:
    """Change a deployment; jobs that were invoked before keep it as it was. A file replaces it.

    Fields are named as `show` prints them: --set mini_batch_size=5. Example: tidemill batch-deployment update -n torch
    -e pump-health --set retry_settings.timeout=60
    """
    from scoring.specs.document import Document

    with connected() as client:
        shown = client.batch_deployments.show(endpoint_name, name)
        given = None if file is None else written(file, (), name=name, endpoint_name=endpoint_name)
        if given is not None:
            shown = _parsed(given).model_dump(mode="json", exclude_none=True)
        if shown.get("type") == "pipeline":
            # what its component says is shown, and is not the deployment's to change
            shown = {key: value for key, value in shown.items() if key not in _OF_COMPONENT}
        else:
            # files nest most fields under `settings`, and what is shown does not
            changes = changes.without_prefix("settings.")
        spec = _parsed(changes.applied(Document(value=shown)))
        with placed(given or Document(value={})):
            return client.batch_deployments.update(
                endpoint_name, name, body(spec), skip_script_validation=skip_script_validation
            )


@batch_deployment.command()
@name_option
@endpoint_option
def show(name: str, endpoint_name: str) -> Any:
    """Show a deployment. Example: tidemill batch-deployment show -n torch -e pump-health"""
    with connected() as client:
        return client.batch_deployments.show(endpoint_name, name)


@batch_deployment.command("list")
@endpoint_option
def list_(endpoint_name: str) -> Any:
    """List an endpoint's deployments. Example: tidemill batch-deployment list -e pump-health -o table"""
    with connected() as client:
        found = client.batch_deployments.list(endpoint_name)
    return [{key: deployment.get(key) for key in _LISTED} for deployment in found]


@batch_deployment.command("list-jobs")
@name_option
@endpoint_option
@click.option("-r", "--max-results", type=int, default=50, show_default=True, help="Most jobs shown.")
def list_jobs(name: str, endpoint_name: str, max_results: int) -> Any:
    """List a deployment's jobs, newest first. Example: tidemill batch-deployment list-jobs -n torch -e pump-health"""
    with connected() as client:
        found = client.batch_deployments.list_jobs(endpoint_name, name, max_results=max_results)
    return [{"name": job["name"], "status": job["status"], "output": _output(job["outputs"])} for job in found]


def _output(outputs: dict[str, Any]) -> str | None:
    """Where the predictions lie; of a pipeline its first output."""
    first: dict[str, Any] = next(iter(outputs.values()), {})
    path: str | None = outputs.get("score", first).get("path")
    return path


@batch_deployment.command()
@name_option
@endpoint_option
@yes_option
def delete(name: str, endpoint_name: str, yes: bool) -> None:
    """Delete a deployment; jobs go on. Example: tidemill batch-deployment delete -n torch -e pump-health --yes"""
    confirm(f"deployment {name} of endpoint {endpoint_name}", yes)
    with connected() as client:
        client.batch_deployments.delete(endpoint_name, name)
