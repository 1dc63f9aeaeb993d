"""`tidemill schedule`: endpoints that are invoked, and jobs that are run, by themselves."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.command import (
    Changes,
    Noun,
    body,
    confirm,
    connected,
    generic_update,
    name_option,
    placed,
    set_option,
    written,
    yes_option,
)
from scoring.errors import InvalidInput


@click.group(cls=Noun)
def schedule() -> None:
    """Schedules: when an endpoint is invoked, or a pipeline or command run, by itself."""


@schedule.command()
@click.option("-f", "--file", type=click.Path(), required=True, help="YAML file that describes it.")
@click.option("-n", "--name", help="Its name; beats the file's.")
@set_option
def create(file: str, name: str | None, sets: tuple[str, ...]) -> Any:
    """Create a schedule, or replace it; it remembers what it has scored.

    Example: tidemill schedule create --file schedule.yml
    """
    from scoring.specs.schedule import parse_schedule

    document = written(file, sets, name=name)
    spec, _ = parse_schedule(document)
    with connected() as client, placed(document):
        return client.schedules.create(body(spec))


@schedule.command()
@name_option
def show(name: str) -> Any:
    """Show a schedule. Example: tidemill schedule show -n every-minute --query next_fire -o tsv"""
    with connected() as client:
        return client.schedules.show(name)


@schedule.command("list")
@click.option("--include-disabled", is_flag=True, help="Also those that are disabled.")
@click.option("--disabled-only", is_flag=True, help="Only those that are disabled.")
@click.option("-r", "--max-results", type=int, help="At most so many.")
def list_(include_disabled: bool, disabled_only: bool, max_results: int | None) -> Any:
    """List the schedules. Example: tidemill schedule list --include-disabled -o table"""
    if include_disabled and disabled_only:
        raise InvalidInput("--include-disabled and --disabled-only exclude each other")
    with connected() as client:
        found = client.schedules.list()
    wanted = {False} if disabled_only else {True, False} if include_disabled else {True}
    return [schedule for schedule in found if schedule["is_enabled"] in wanted][:max_results]


@schedule.command()
@name_option
@generic_update
def update(name: str, changes: Changes) -> Any:
    """Change a schedule; it remembers what it has scored.

    Example: tidemill schedule update -n every-minute --set trigger.interval=5
    """
    from scoring.specs.document import Document
    from scoring.specs.schedule import parse_schedule

    with connected() as client:
        spec, _ = parse_schedule(changes.applied(Document(value=client.schedules.show(name))))
        return client.schedules.create({**body(spec), "name": name})


@schedule.command()
@name_option
def trigger(name: str) -> Any:
    """Let a schedule fire at once; its other times stay. Example: tidemill schedule trigger -n every-minute"""
    with connected() as client:
        return client.schedules.trigger(name)


@schedule.command()
@name_option
def enable(name: str) -> Any:
    """Let a schedule fire again, from its next time on. Example: tidemill schedule enable -n every-minute"""
    with connected() as client:
        return client.schedules.enable(name)


@schedule.command()
@name_option
def disable(name: str) -> Any:
    """Stop a schedule from firing. Example: tidemill schedule disable -n every-minute"""
    with connected() as client:
        return client.schedules.disable(name)


@schedule.command()
@name_option
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a schedule; its jobs stay. Example: tidemill schedule delete -n every-minute --yes"""
    confirm(f"schedule {name}", yes)
    with connected() as client:
        client.schedules.delete(name)
