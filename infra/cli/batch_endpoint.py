"""`tidemill batch-endpoint`: stable names that are invoked."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.command import (
    Changes,
    Noun,
    body,
    confirm,
    connected,
    file_option,
    generic_update,
    name_option,
    placed,
    set_option,
    written,
    yes_option,
)
from infra.cli.invocation import invocation_document, parsed_invocation
from scoring.errors import InvalidInput

_LISTED = ("id", "name", "deployment_name", "location", "provisioning_state", "scoring_uri", "auth_mode")


@click.group("batch-endpoint", cls=Noun)
def batch_endpoint() -> None:
    """Batch endpoints: create them, deploy behind them, invoke them."""


@batch_endpoint.command()
@click.option("-n", "--name", help="Its name.")
@file_option
@set_option
def create(file: str | None, sets: tuple[str, ...], name: str | None) -> Any:
    """Create an endpoint. Example: tidemill batch-endpoint create --name pump-health"""
    from scoring.specs.endpoint import EndpointSpec
    from scoring.specs.validation import parse

    spec = parse(EndpointSpec, written(file, sets, name=name))
    with connected() as client:
        return client.batch_endpoints.create(body(spec))


@batch_endpoint.command()
@name_option
@file_option
@click.option("--defaults", multiple=True, metavar="deployment_name=NAME", help="Set the default deployment.")
@generic_update
def update(name: str, file: str | None, defaults: tuple[str, ...], changes: Changes) -> Any:
    """Change an endpoint. What the file says, if there is one, replaces what was there.

    Example: tidemill batch-endpoint update -n pump-health --set defaults.deployment_name=torch
    """
    from scoring.specs.document import Document
    from scoring.specs.endpoint import EndpointSpec
    from scoring.specs.validation import parse

    with connected() as client:
        document = Document(value=client.batch_endpoints.show(name))
        if file is not None:
            given = written(file, (), name=name)
            body(parse(EndpointSpec, given))  # says which of the file's keys have no effect
            for key, value in given.value.items():
                document = document.with_value((key,), value, origin=given.place((key,)) or file)
        for pair in defaults:
            document = document.with_settings([f"defaults.{pair}"])
        document = changes.applied(document)
        spec = parse(EndpointSpec, document)
        # `show` adds keys that have no effect; nobody need be told of those
        return client.batch_endpoints.update(name, spec.model_dump(mode="json", exclude_none=True))


@batch_endpoint.command()
@name_option
def show(name: str) -> Any:
    """Show an endpoint. Example: tidemill batch-endpoint show -n pump-health --query scoring_uri -o tsv"""
    with connected() as client:
        return client.batch_endpoints.show(name)


@batch_endpoint.command("list")
def list_() -> Any:
    """List the endpoints. Example: tidemill batch-endpoint list --query "[].name" -o tsv"""
    with connected() as client:
        found = client.batch_endpoints.list()
    flat = ({**endpoint, "deployment_name": endpoint["defaults"]["deployment_name"]} for endpoint in found)
    return [{key: endpoint[key] for key in _LISTED} for endpoint in flat]


@batch_endpoint.command()
@name_option
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete an endpoint and its deployments; its jobs stay. Example: tidemill batch-endpoint delete -n x --yes"""
    confirm(f"endpoint {name} and its deployments", yes)
    with connected() as client:
        client.batch_endpoints.delete(name)


@batch_endpoint.command("list-jobs")
@name_option
@click.option("-d", "--deployment-name", help="Those of this deployment alone.")
@click.option("-r", "--max-results", type=int, default=50, show_default=True, help="Most jobs shown.")
def list_jobs(name: str, deployment_name: str | None, max_results: int) -> Any:
    """List the endpoint's jobs, newest first. Example: tidemill batch-endpoint list-jobs -n pump-health -o table"""
    with connected() as client:
        if deployment_name is not None:
            return client.batch_deployments.list_jobs(name, deployment_name, max_results=max_results)
        return client.batch_endpoints.list_jobs(name, max_results=max_results)


@batch_endpoint.command()
@click.option("-n", "--name", help="The endpoint; beats the file's.")
@click.option("-d", "--deployment-name", help="The deployment; default the endpoint's default.")
@click.option(
    "-f", "--file", type=click.Path(), help="YAML file with inputs, outputs, deployment, endpoint and settings."
)
@click.option(
    "--input",
    "input_path",
    metavar="PATH",
    help="A folder or file, azureml:NAME:VERSION, azureml://datastores/D/paths/P, or a table such as lake://windows.",
)
@click.option("--input-type", help="uri_folder, uri_file or table; default what lies there.")
@click.option(
    "--inputs",
    metavar="JSON",
    help='Inputs by name: \'{"data": {"type": "uri_folder", "path": "…"}}\'; of a pipeline literals, too.',
)
@click.option("--outputs", metavar="JSON", help='Outputs by name: \'{"score": {"path": "…"}}\'.')
@click.option("--output-path", metavar="PATH", help="Folder for the predictions; default the job's own.")
@click.option("--overwrite", is_flag=True, default=None, help="Replace an output file that exists already.")
@click.option("-m", "--mini-batch-size", help="For this job alone: 10 (files), 10MB, or '5000 rows'.")
@click.option("-c", "--instance-count", help="For this job alone.")
@click.option("--job-name", help="Default: a generated one.")
@click.option("--experiment-name", help="Default: the endpoint's name.")
@set_option
def invoke(
    name: str | None,
    deployment_name: str | None,
    file: str | None,
    sets: tuple[str, ...],
    **options: Any,
) -> Any:
    """Make a job of this endpoint and print it; follow it with `tidemill job stream`.

    Example: tidemill batch-endpoint invoke -n pump-health --input ./images --query name -o tsv
    """
    document = invocation_document(file, sets, deployment=deployment_name, **options)
    with connected() as client:
        spec = parsed_invocation(client, document, name)
        endpoint = name or spec.endpoint
        if endpoint is None:
            raise InvalidInput("missing; name the endpoint, here or as `endpoint` in the file", place="--name")
        with placed(document):
            # a name on the command line beats the file's
            return client.batch_endpoints.invoke(endpoint, {**body(spec), "endpoint": endpoint.lower()})
