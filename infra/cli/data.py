"""`tidemill data`: data assets."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.asset_verbs import add_asset_verbs
from infra.cli.command import Noun, body, connected, file_option, placed, set_option, tags_of, written
from infra.cli.model import typed_path


@click.group(cls=Noun)
def data() -> None:
    """Data assets: names and versions for files and folders that jobs read."""


@data.command()
@click.option("-n", "--name", help="Its name.")
@click.option("-v", "--version", help="Its version; default the next number.")
@click.option("-p", "--path", help="A local file or folder, azureml://datastores/…, or https://….")
@file_option
@click.option("-t", "--type", "type_", help="uri_folder (default), uri_file or mltable.")
@click.option("--datastore", help="Where a local file or folder is copied to; default workspaceblobstore.")
@click.option("-d", "--description", help="What it is, for people.")
@click.option("--tags", multiple=True, metavar="NAME=VALUE", help="Labels of your own; several may follow.")
@click.option("--skip-validation", is_flag=True, help="Taken, without effect: what can be checked is.")
@set_option
def create(
    file: str | None,
    sets: tuple[str, ...],
    path: str | None,
    type_: str | None,
    tags: tuple[str, ...],
    skip_validation: bool,
    **options: Any,
) -> Any:
    """Register data. Local files are copied into the datastore; the same content again is the same version.

    Example: tidemill data create -n readings --path ./readings --type uri_folder
    """
    from scoring.specs.data import DataSpec
    from scoring.specs.validation import parse

    document = written(file, sets, path=typed_path(path), type=type_, tags=tags_of(tags), **options)
    spec = parse(DataSpec, document)
    with connected() as client, placed(document):
        return client.data.create(body(spec))


add_asset_verbs(data, lambda client: client.data)
