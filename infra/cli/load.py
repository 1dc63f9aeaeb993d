"""`tidemill load`: static data of the plant from CSV files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from infra import wiring
from infra.settings import Settings


@click.command(
    help="Load sites, machines, sensors and maintenance from CSV files or folders of them: new rows are inserted, "
    "changed ones updated. One bad row and nothing is loaded; every bad row is listed.",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR_OR_FILES…")
@click.option("--table", metavar="TABLE", help="Table of the one file given; else the file's name says it.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of the answer.",
)
def load(paths: tuple[Path, ...], table: str | None, output: str) -> None:
    loaded = wiring.static_data(Settings())(paths, table)
    if output == "json":
        print(json.dumps([dataclasses.asdict(one) for one in loaded], indent=2))
        return
    print(f"{'table':<12} {'inserted':>9} {'updated':>9} {'unchanged':>10}  file")
    for one in loaded:
        print(f"{one.table:<12} {one.inserted:>9,} {one.updated:>9,} {one.unchanged:>10,}  {one.file}")
