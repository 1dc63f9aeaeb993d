"""`tidemill model`: registered models."""

from __future__ import annotations

import os
from typing import Any

import click

from infra.cli.asset_verbs import add_asset_verbs, chosen_version, label_option, version_option
from infra.cli.command import (
    Noun,
    body,
    connected,
    file_option,
    name_option,
    note,
    placed,
    set_option,
    tags_of,
    written,
)


@click.group(cls=Noun)
def model() -> None:
    """Registered models: immutable, versioned copies of files and folders."""


@model.command()
@click.option("-n", "--name", help="Its name.")
@click.option("-v", "--version", help="Its version; default the next number.")
@click.option("-p", "--path", help="The file or folder to register.")
@file_option
@click.option("-t", "--type", "type_", help="custom_model (default) or mlflow_model.")
@click.option("-s", "--stage", help="Its stage in your own process, such as Production.")
@click.option("--datastore", help="Kept for Azure's files; without effect here.")
@click.option("--description", help="What it is, for people.")
@click.option("-d", "--default-deployment-template", help="Kept for Azure's files; without effect here.")
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
    from scoring.specs.model import ModelSpec
    from scoring.specs.validation import parse

    document = written(file, sets, path=typed_path(path), type=type_, tags=tags_of(tags), **options)
    spec = parse(ModelSpec, document)
    with connected() as client, placed(document):
        return client.models.create(body(spec))


@model.command()
@name_option
@version_option
@label_option
@click.option("-p", "--download-path", default=".", show_default=True, help="Folder to write to.")
def download(name: str, version: str | None, label: str | None, download_path: str) -> None:
    """Write a model's files below the folder, in a folder of the model's name.

    Example: tidemill model download -n pump-health -v 1 -p ./kept
    """
    with connected() as client:
        target = client.models.download(name, chosen_version(version, label), download_path)
    note(f"downloaded to {target}")


def typed_path(path: str | None) -> str | None:
    """A path that was typed is relative to where it was typed, one in a file to the file."""
    if path is None or ":" in path:
        return path
    return os.path.abspath(os.path.expanduser(path)) if path else path


add_asset_verbs(model, lambda client: client.models, has_stage=True)
