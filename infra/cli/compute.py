"""`tidemill compute`: clusters of worker processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

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
    set_option,
    tags_of,
    written,
    yes_option,
)

F = TypeVar("F", bound=Callable[..., Any])

_NO_EFFECT = (
    "--admin-password",
    "--admin-username",
    "--enable-node-public-ip",
    "--identity-type",
    "--location",
    "--ssh-key-value",
    "--ssh-public-access-enabled",
    "--subnet",
    "--user-assigned-identities",
    "--user-tenant-id",
    "--user-object-id",
    "--vnet-name",
)
_SHORT = {"--location": "-l", "--ssh-public-access-enabled": "-p", "--user-assigned-identities": "-i"}


def _virtual_machine_options(function: F) -> F:
    """Options of virtual machines and their networks: scripts carry them, and there are none here."""
    for name in _NO_EFFECT:
        names = [_SHORT[name], name] if name in _SHORT else [name]
        function = click.option(*names, f"no_effect_{name[2:].replace('-', '_')}", hidden=True)(function)
    return function


def _without_effect(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if not name.startswith("no_effect_")}


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
@click.option("--tier", help="dedicated, or low_priority: instances may be taken away at any time.")
@click.option("--worker-memory-mb", help="Most memory of a worker process, in MiB; default no limit.")
@click.option("--description", help="What it is, for people.")
@click.option("--tags", multiple=True, metavar="NAME=VALUE", help="Labels of your own; several may follow.")
@_virtual_machine_options
@set_option
def create(file: str | None, sets: tuple[str, ...], type_: str | None, tags: tuple[str, ...], **options: Any) -> Any:
    """Create a cluster, or replace the settings of one that exists.

    Example: tidemill compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5
    """
    from scoring.specs.compute import ComputeSpec
    from scoring.specs.validation import parse

    given = written(file, sets, type=type_, tags=tags_of(tags), **_without_effect(options))
    spec = parse(ComputeSpec, given)
    with connected() as client:
        return client.compute.create(body(spec))


@compute.command()
@name_option
@click.option("--min-instances", help="Instances kept warm.")
@click.option("--max-instances", help="Most instances at a time.")
@click.option("-d", "--idle-time-before-scale-down", help="Seconds that an idle instance stays.")
@click.option("--worker-memory-mb", help="Most memory of a worker process, in MiB.")
@click.option("--tags", multiple=True, metavar="NAME=VALUE", help="Labels of your own; several may follow.")
@_virtual_machine_options
@generic_update
def update(name: str, tags: tuple[str, ...], changes: Changes, **options: Any) -> Any:
    """Change a cluster; its instances and their jobs go on.

    Example: tidemill compute update -n batch-cluster --max-instances 8
    """
    from scoring.specs.compute import ComputeSpec
    from scoring.specs.document import Document
    from scoring.specs.validation import parse

    with connected() as client:
        document = Document(value=client.compute.show(name))
        options["tags"] = tags_of(tags)
        for option, value in _without_effect(options).items():
            if value is not None:
                document = document.with_value((option,), value, origin=f"--{option.replace('_', '-')}")
        return client.compute.update(name, body(parse(ComputeSpec, changes.applied(document))))


@compute.command()
@name_option
def show(name: str) -> Any:
    """Show a cluster: settings, instances by state, what they have used since the service began.

    Example: tidemill compute show -n batch-cluster --query nodes
    """
    with connected() as client:
        return client.compute.show(name)


@compute.command("list")
@click.option("-t", "--type", "type_", help="Those of this type alone; there are amlcompute clusters.")
@click.option("-r", "--max-results", type=click.IntRange(min=0), help="Most clusters shown.")
def list_(type_: str | None, max_results: int | None) -> Any:
    """List the clusters. Example: tidemill compute list -o table"""
    with connected() as client:
        found = [c for c in client.compute.list() if type_ is None or str(c["type"]).lower() == type_.lower()]
    return found[:max_results]


@compute.command("list-nodes")
@name_option
def list_nodes(name: str) -> Any:
    """List a cluster's instances: state, job, processes, memory, core-seconds.

    Example: tidemill compute list-nodes -n batch-cluster -o table
    """
    with connected() as client:
        return client.compute.list_nodes(name)


@compute.command("list-sizes")
@click.option("-n", "--name", hidden=True)
@click.option("-t", "--type", "type_", hidden=True)
@click.option("-l", "--location", hidden=True)
@click.option("--recommended", is_flag=True, hidden=True)
def list_sizes(**_: Any) -> Any:
    """List the sizes of instances: there is one, this machine. Example: tidemill compute list-sizes -o table"""
    with connected() as client:
        return client.compute.list_sizes()


@compute.command("list-usage")
@click.option("-n", "--name", hidden=True)
@click.option("-l", "--location", hidden=True)
def list_usage(**_: Any) -> Any:
    """List how much of this machine is in use. Example: tidemill compute list-usage -o table"""
    with connected() as client:
        return client.compute.list_usage()


@compute.command()
@name_option
@click.option("--node", help="The instance; default all of the cluster's.")
def preempt(name: str, node: str | None) -> Any:
    """Take instances of a low-priority cluster away, as a cloud may at any time; their jobs go on where they were.

    Example: tidemill compute preempt -n spot --node node0
    """
    with connected() as client:
        return client.compute.preempt(name, node=node)


@compute.command()
@name_option
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a cluster; deployments that name it stay. Example: tidemill compute delete -n batch-cluster --yes"""
    confirm(f"compute {name}", yes)
    with connected() as client:
        client.compute.delete(name)


def _for_machines_alone(verb: str) -> None:
    def refused(name: str) -> None:
        from scoring.errors import Conflict

        with connected() as client:
            kind = client.compute.show(name)["type"]
        raise Conflict(
            f"compute {name} is of type {kind}; {verb} is for compute instances alone, "
            "a cluster starts and stops its instances by itself"
        )

    refused.__doc__ = f"{verb.capitalize()} a compute instance; refused for a cluster."
    compute.command(verb, hidden=True)(name_option(refused))


for _verb in ("start", "stop", "restart"):
    _for_machines_alone(_verb)
