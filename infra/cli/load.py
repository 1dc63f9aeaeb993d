"""`tidemill load`: static data of the plant from CSV files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import click

from infra.cli.answer import Answer, answering
from infra.settings import Settings
from infra.wiring import stores


@click.command(
    help="Load sites, machines, sensors and maintenance from CSV files or folders of them: new rows are inserted, "
    "changed ones updated. One bad row and nothing is loaded; every bad row is listed.",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR_OR_FILES…")
@click.option("--table", metavar="TABLE", help="Table of the one file given; else the file's name says it.")
@answering
def load(paths: tuple[Path, ...], table: str | None, answer: Answer) -> None:
    loaded = stores.static_data(Settings())(paths, table)

    def lines() -> Iterator[str]:
        yield f"{'table':<12} {'inserted':>9} {'updated':>9} {'unchanged':>10}  file"
        for one in loaded:
            yield f"{one.table:<12} {one.inserted:>9,} {one.updated:>9,} {one.unchanged:>10,}  {one.file}"

    answer.show([dataclasses.asdict(one) for one in loaded], lines)
