"""`tidemill lake`: how the lake's tables stand; small files joined, and what nobody needs deleted, now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from infra.cli.answer import Answer, answering
from infra.cli.times import Duration
from infra.settings import Settings

_LEAST_RETENTION = timedelta(minutes=15)


@click.group(
    help="How the lake's tables stand; join small files, delete what nobody needs. The service does so itself."
)
def lake() -> None:
    pass


@lake.command("show")
@click.argument("tables", nargs=-1)
@answering
def show_command(answer: Answer, tables: tuple[str, ...]) -> None:
    """Version, part files, files that could be joined, dead files, log entries of each table."""
    from storage.lake.vacuum import condition

    rows = [{"table": folder.name, **asdict(condition(folder))} for folder in _folders(tables)]
    answer.show(rows, lambda: _table(rows))


@lake.command("compact")
@click.argument("tables", nargs=-1)
@answering
def compact_command(answer: Answer, tables: tuple[str, ...]) -> None:
    """Join the small part files of each date, two or more; the rows stay the same, and jobs do not score them again.

    Writers go on meanwhile: a join that meets one which removed its files is given up (`lost`).
    """
    from storage.lake.compaction import compact

    rows = [{"table": folder.name, **asdict(compact(folder, fewest=2))} for folder in _folders(tables)]
    answer.show(rows, lambda: _table(rows))


@lake.command("vacuum")
@click.argument("tables", nargs=-1)
@click.option("--retention", type=Duration(), help="Younger ones stay; at least 15m, by default the setting's.")
@click.option("--dry-run", is_flag=True, help="Count, and delete nothing.")
@answering
def vacuum_command(answer: Answer, tables: tuple[str, ...], retention: timedelta | None, dry_run: bool) -> None:
    """Delete superseded part files and old log entries that neither a job that has not ended nor a schedule needs."""
    from infra.wiring import lake
    from storage.lake.vacuum import vacuum

    settings = Settings()
    retention = timedelta(hours=settings.lake_retention_hours) if retention is None else retention
    if retention < _LEAST_RETENTION:
        raise click.BadParameter(
            "a writer may be on its way for some minutes; give 15m or more", param_hint="--retention"
        )
    folders, needed = _folders(tables), lake.lake_needed_from(settings)
    rows = [
        {
            "table": folder.name,
            "needed_from": needed.get(folder.name),
            **asdict(vacuum(folder, retention=retention, needed_from=needed.get(folder.name), dry_run=dry_run)),
        }
        for folder in folders
    ]
    answer.show(rows, lambda: _table(rows))


def _folders(names: tuple[str, ...]) -> list[Path]:
    from scoring.errors import NotFound
    from storage.lake.upkeep import tables_in

    found = {folder.name: folder for folder in tables_in(Settings().paths.lake)}
    for name in names:
        if name not in found:
            raise NotFound(f"there is no table {name} in the lake; it has {', '.join(found) or 'none yet'}")
    return [found[name] for name in names or found]


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "the lake has no tables yet"
        return
    names = list(rows[0])
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    for line in [names, *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
