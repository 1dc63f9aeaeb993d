"""`tidemill environment`: what scoring scripts need installed."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.asset_verbs import add_asset_verbs
from infra.cli.command import Noun, body, connected, file_option, placed, set_option, tags_of, written
from infra.cli.model import typed_path


@click.group(cls=Noun)
def environment() -> None:
    """Environments: what scoring scripts need installed."""


@environment.command()
@click.option("-n", "--name", help="Its name.")
@click.option("-v", "--version", help="Its version; default the next number.")
@file_option
@click.option("-i", "--image", help="A container image; its Python and packages are taken as a wish.")
@click.option("-c", "--conda-file", help="A conda file.")
@click.option("-b", "--build-context", help="A folder to build from.")
@click.option("-d", "--dockerfile-path", help="The file in it to build; default Dockerfile.")
@click.option("--os-type", help="linux (default) or windows.")
@click.option("--datastore", help="Kept for Azure's files; without effect here.")
@click.option("--description", help="What it is, for people.")
@click.option("--tags", multiple=True, metavar="NAME=VALUE", help="Labels of your own; several may follow.")
@set_option
def create(
    file: str | None,
    sets: tuple[str, ...],
    conda_file: str | None,
    build_context: str | None,
    dockerfile_path: str | None,
    tags: tuple[str, ...],
    **options: Any,
) -> Any:
    """Register an environment. The same content again is the same version.

    Example: tidemill environment create -n torch --image python:3.12 --conda-file conda.yml
    """
    from scoring.specs.environment import EnvironmentSpec
    from scoring.specs.validation import parse

    document = written(
        file,
        sets,
        conda_file=typed_path(conda_file),
        build__path=typed_path(build_context),
        build__dockerfile_path=dockerfile_path,
        tags=tags_of(tags),
        **options,
    )
    spec = parse(EnvironmentSpec, document)
    with connected() as client, placed(document):
        return client.environments.create(body(spec))


add_asset_verbs(environment, lambda client: client.environments)
