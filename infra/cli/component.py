"""`tidemill component`: steps of pipelines, and pipelines themselves."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.asset_verbs import add_asset_verbs
from infra.cli.command import Noun, body, connected, placed, set_option, written


@click.group(cls=Noun)
def component() -> None:
    """Components: steps of pipelines, and pipelines, with typed inputs and outputs."""


@component.command()
@click.option("-f", "--file", type=click.Path(), required=True, metavar="FILE", help="YAML file that describes it.")
@click.option("-n", "--name", help="Its name; beats the file's.")
@click.option("-v", "--version", help="Its version; default the next number.")
@set_option
@click.option("--skip-validation", is_flag=True, hidden=True)
def create(file: str, sets: tuple[str, ...], skip_validation: bool, **options: Any) -> Any:
    """Register a component. The same content again is the same version.

    Example: tidemill component create --file prepare.yml
    """
    from scoring.specs.pipeline import parse_component

    document = written(file, sets, **options)
    spec = parse_component(document)
    with connected() as client, placed(document):
        return client.components.create(body(spec))


add_asset_verbs(component, lambda client: client.components, has_display_name=True)
