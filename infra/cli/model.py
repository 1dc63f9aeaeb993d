"""`tidemill model`: registered models."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.command import Noun, body, connected, file_option, name_option, placed, set_option, tags_of, written
from scoring.errors import InvalidInput


@click.group(cls=Noun)
def model() -> None:
    """Registered models: immutable, versioned copies of files and folders."""


@model.command()
@click.option("-n", "--name", help="Its name.")
@click.option("-v", "--version", help="Its version; default the next number.")
@click.option("-p", "--path", type=click.Path(), help="The file or folder to register.")
@file_option
@click.option("-t", "--type", "type_", help="custom_model (default) or mlflow_model.")
@click.option("--description", help="What it is, for people.")
@click.option("--tags", multiple=True, metavar="NAME=VALUE", help="Labels of your own; several may follow.")
@set_option
def create(
    file: str | None,
    sets: tuple[str, ...],
    path: str | None,
    type_: str | None,
    tags: tuple[str, ...],
    **options: Any,
) -> Any:
    """Register a file or folder as a model. The same content again is the same version.

    Example: tidemill model create -n pump-health --path ./model
    """
    import os

    from scoring.specs.model import ModelSpec
    from scoring.specs.validation import parse

    # an option's path is relative to where it was typed, a file's to the file
    absolute = os.path.abspath(path) if path else path
    document = written(file, sets, path=absolute, type=type_, tags=tags_of(tags), **options)
    spec = parse(ModelSpec, document)
    with connected() as client, placed(document):
        return client.models.create(body(spec))


@model.command()
@name_option
@click.option("-v", "--version", help="Its version; default the latest.")
@click.option("-l", "--label", help="Only latest.")
def show(name: str, version: str | None, label: str | None) -> Any:
    """Show a version of a model. Example: tidemill model show -n pump-health --query version -o tsv"""
    if label not in {None, "latest"}:
        raise InvalidInput(f"found '{label}'; the only label is latest", place="--label")
    with connected() as client:
        return client.models.show(name, version or "latest")


@model.command("list")
@click.option("-n", "--name", help="List all versions of this one.")
@click.option("-r", "--max-results", type=int, help="At most so many.")
def list_(name: str | None, max_results: int | None) -> Any:
    """List the models, or the versions of one. Example: tidemill model list -n pump-health -o table"""
    with connected() as client:
        return client.models.list(name)[:max_results]
