"""`tidemill compute`: clusters of worker processes."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.command import (
    Noun,
    body,
    confirm,
    connected,
    file_option,
    name_option,
    set_option,
    tags_of,
    written,
    yes_option,
)


@click.group(cls=Noun)
def compute() -> None:
    """Compute clusters: how many instances may run, and how long idle ones stay warm.

    An instance is a group of worker processes of this machine.
    """


@compute.command()
@click.option("-n", "--name", help="Its name.")
@file_option
@click.option("-t", "--type", "type_", help="amlcompute.")
@click.option("--size", help="A VM size; kept, without effect here.")
@click.option("--min-instances", help="Instances kept warm; default 0.")
@click.option("--max-instances", help="Most instances at a time; default 4.")
@click.option("-d", "--idle-time-before-scale-down", help="Seconds that an idle instance stays; default 120.")
@click.option("--tier", help="dedicated or low_priority.")
@click.option("-l", "--location", hidden=True)
@click.option("-i", "--user-assigned-identities", hidden=True)
@click.option("--identity-type", hidden=True)
@click.option("--description", help="What it is, for people.")
@click.option("--tags", multiple=True, metavar="NAME=VALUE", help="Labels of your own; several may follow.")
@set_option
def create(
    file: str | None,
    sets: tuple[str, ...],
    type_: str | None,
    tags: tuple[str, ...],
    location: str | None,
    user_assigned_identities: str | None,
    identity_type: str | None,
    **options: Any,
) -> Any:
    """Create a cluster, or replace the settings of one that exists.

    Example: tidemill compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5
    """
    from scoring.specs.compute import ComputeSpec
    from scoring.specs.validation import parse

    spec = parse(ComputeSpec, written(file, sets, type=type_, tags=tags_of(tags), **options))
    with connected() as client:
        return client.compute.create(body(spec))


@compute.command()
@name_option
def show(name: str) -> Any:
    """Show a cluster. Example: tidemill compute show -n batch-cluster"""
    with connected() as client:
        return client.compute.show(name)


@compute.command("list")
@click.option("--type", "type_", hidden=True)
@click.option("-r", "--max-results", type=int, hidden=True)
def list_(type_: str | None, max_results: int | None) -> Any:
    """List the clusters. Example: tidemill compute list -o table"""
    with connected() as client:
        return client.compute.list()[:max_results]


@compute.command()
@name_option
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a cluster; deployments that name it stay. Example: tidemill compute delete -n batch-cluster --yes"""
    confirm(f"compute {name}", yes)
    with connected() as client:
        client.compute.delete(name)
