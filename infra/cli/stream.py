"""`tidemill stream`: run the stream worker; show how far it is."""

from __future__ import annotations

from collections.abc import Iterator

import click

from infra.cli.answer import Answer, answering
from infra.settings import Settings


@click.group(help="Run the stream worker; show its progress.")
def stream() -> None:
    pass


@stream.command("run")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the worker's own web server; without it, none.")
@click.option("--member", default="worker-0", show_default=True, help="Name in the group; another for each worker.")
def run_command(port: int | None, member: str) -> None:
    """Fold readings into windows and commit them to the lake, until told to stop."""
    from infra import wiring

    wiring.stream_worker(Settings(), member=member, web_port=port)


@stream.command("show")
@answering
def show_command(answer: Answer) -> None:
    """Position, watermarks and counters of each partition, as of its last commit."""
    from infra import wiring

    rows: list[dict[str, object]] = []
    found = dict(sorted(wiring.stream_progress(Settings()).items()))
    for partition, progress in found.items():
        counters = progress.counters
        rows.append(
            {
                "partition": partition,
                "next_offset": progress.next_offset,
                "accepted": counters.accepted,
                "late": counters.late,
                "duplicates": counters.duplicates,
                "dead_letters": dict(counters.dead_letters),
                "windows": counters.windows,
                "corrections": counters.corrections,
                "open_windows": progress.open_windows,
                "machines": progress.machines,
                "watermark_min": progress.watermark_min.isoformat() if progress.watermark_min else None,
                "watermark_max": progress.watermark_max.isoformat() if progress.watermark_max else None,
                "last_commit_at": progress.last_commit_at.isoformat() if progress.last_commit_at else None,
            }
        )

    def lines() -> Iterator[str]:
        if not rows:
            click.echo("nothing has been committed yet", err=True)
            return iter(())
        letters = [sum(progress.counters.dead_letters.values()) for progress in found.values()]
        return _table([{**row, "dead_letters": count} for row, count in zip(rows, letters, strict=True)])

    answer.show(rows, lines)


def _table(rows: list[dict[str, object]]) -> Iterator[str]:
    names = list(rows[0])
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    for line in [names, *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
