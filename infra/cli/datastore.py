"""`tidemill datastore`: names of folders."""

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


@click.group(cls=Noun)
def datastore() -> None:
    """Datastores: names of folders of the service's machine."""


@datastore.command()
@click.option("-f", "--file", type=click.Path(), required=True, metavar="FILE", help="YAML file that describes it.")
@click.option("-n", "--name", help="Its name; beats the file's.")
@set_option
def create(file: str, name: str | None, sets: tuple[str, ...]) -> Any:
    """Name a folder, or change what a name stands for.

    Example: tidemill datastore create --file plant.yml
    """
    from scoring.specs.datastore import parse_datastore

    document = written(file, sets, name=name)
    spec = parse_datastore(document)
    with connected() as client, placed(document):
        return client.datastores.create(body(spec))


@datastore.command()
@name_option
def show(name: str) -> Any:
    """Show a datastore. Example: tidemill datastore show -n workspaceblobstore --query path -o tsv"""
    with connected() as client:
        return client.datastores.show(name)


@datastore.command("list")
@click.option("-r", "--max-results", type=click.IntRange(min=0), help="At most so many.")
def list_(max_results: int | None) -> Any:
    """List the datastores. Example: tidemill datastore list -o table"""
    with connected() as client:
        return client.datastores.list()[:max_results]


@datastore.command()
@name_option
@file_option
@generic_update
def update(name: str, file: str | None, changes: Changes) -> Any:
    """Change a datastore. Example: tidemill datastore update -n plant --set description=archive"""
    from scoring.specs.datastore import parse_datastore
    from scoring.specs.document import Document

    with connected() as client:
        document = Document(value=client.datastores.show(name)) if file is None else written(file, (), name=name)
        spec = parse_datastore(changes.applied(document))
        with placed(document):
            return client.datastores.update(name, body(spec))


@datastore.command()
@name_option
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete the name; its files stay. Example: tidemill datastore delete -n plant --yes"""
    confirm(f"datastore {name}", yes)
    with connected() as client:
        client.datastores.delete(name)
