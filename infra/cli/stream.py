"""`tidemill stream`: streams that users define, the workers, and how far they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.answer import Answer, answering
from infra.cli.backfill import backfill_command
from infra.cli.command import confirm, note
from infra.settings import Settings

if TYPE_CHECKING:
    from ingestion.checkpoint import Progress
    from ingestion.definition import StreamDefinition

_FILE = click.Path(path_type=Path, dir_okay=False)
_wait = click.option("--wait", "limit", default=60.0, show_default=True, metavar="SECONDS", help="For the worker.")


@click.group(help="Define streams and check them; run a worker; show how far streams are; backfill them from history.")
def stream() -> None:
    pass


stream.add_command(backfill_command)


@stream.command("run")
@click.argument("file", required=False, type=_FILE)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the built-in stream's web server; default none.")
@click.option("--member", default="worker-0", show_default=True, help="Name in the group; another for each worker.")
def run_command(file: Path | None, port: int | None, member: str) -> None:
    """Fold readings into windows and commit them to the lake, until told to stop.

    Without FILE the built-in stream; with it the one that the file defines, in the foreground.
    """
    from infra.stream_definitions import StreamDefinitions
    from infra.wiring import built_in_stream, defined_streams

    settings = Settings()
    if file is None:
        built_in_stream.stream_worker(settings, member=member, web_port=port)
    else:
        defined_streams.stream_worker(settings, StreamDefinitions(settings).read(file), member=member)


@stream.command("check")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@answering
def check_command(answer: Answer, files: tuple[Path, ...]) -> None:
    """Say all that is wrong with definitions, line by line. Needs no stack. Exit code 2 where something is."""
    from infra.stream_definitions import read_all
    from ingestion.errors import InvalidInput
    from scoring import errors as scoring_errors

    wrong: list[str] = []
    rows: list[dict[str, Any]] = []
    seen: dict[str, Path] = {}
    for file in files:
        try:
            given = read_all(file, readings_topic=Settings().readings_topic)
        except (InvalidInput, scoring_errors.InvalidInput) as error:
            wrong += str(error).splitlines()
            continue
        for found in (one.definition for one in given):
            for taken in (f"stream {found.name}", f"table {found.table}"):
                if taken in seen and (seen[taken] != file or len(given) > 1):
                    wrong.append(f"{file}:1: {taken} is that of {seen[taken]}, too; name another")
                seen[taken] = file
            columns = found.shape.schema.names
            rows.append({"file": file, "name": found.name, "table": found.table, "columns": columns})

    def lines() -> Iterator[str]:
        for row in rows:
            yield f"{row['file']}: stream {row['name']}, table {row['table']}, columns {', '.join(row['columns'])}"

    answer.show(rows, lines)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if wrong:
        sys.exit(2)


@stream.command("create")
@click.option("-f", "--file", required=True, type=_FILE, help="The definition (YAML), or a Python file of some.")
@_wait
@answering
def create_command(answer: Answer, file: Path, limit: float) -> None:
    """Check definitions and put them into the home: a running stack starts their workers, and restarts no other.

    A definition of a name that is there takes its place where it may go on from the other's windows.
    """
    from infra.stream_definitions import StreamDefinitions
    from infra.wiring import defined_streams

    settings = Settings()
    definitions = StreamDefinitions(settings)
    given = definitions.read_all(file)
    for one in given:
        defined_streams.check_startable(settings, one.definition)
        _check_topic(settings, one.definition)
    before = {}
    for one in given:
        name = one.definition.name
        before[name] = _pid(settings, name)
        if not definitions.store(one.definition, one.content):
            note(f"stream {name} is defined so already")
            before[name] = None
    rows = [
        _stored_row(one.definition, is_ready=_await_worker(settings, name, before[name], limit))
        for name, one in {one.definition.name: one for one in given}.items()
    ]
    answer.show(rows, tuple)


@stream.command("delete")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_wait
def delete_command(name: str, yes: bool, limit: float) -> None:
    """End a stream: its worker stops, its rows and its position stay for one of this name that comes again."""
    from infra.stream_definitions import StreamDefinitions

    settings = Settings()
    definitions = StreamDefinitions(settings)
    confirm(f"stream {name}", yes)
    definitions.remove(name)
    _await_end(settings, name, limit)
    note(f"stream {name} has ended; its tables stay in the lake")


@stream.command("reset")
@click.argument("name")
@click.option("-f", "--file", type=_FILE, help="The definition to begin afresh with; default the stored one.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_wait
@answering
def reset_command(answer: Answer, name: str, file: Path | None, yes: bool, limit: float) -> None:
    """Delete all rows and the position of a stream, and begin afresh with what its topic still has."""
    from infra.stream_definitions import StreamDefinitions
    from infra.wiring import defined_streams

    settings = Settings()
    definitions = StreamDefinitions(settings)
    is_stored = name in definitions.names()
    given = definitions.chosen(name, file)
    definition = given.definition
    old = definitions.get(name) if is_stored else definition
    confirm(f"all rows of stream {name}", yes)
    if is_stored:
        definitions.remove(name)
    try:
        _await_end(settings, name, limit)
        gone = {*defined_streams.reset(settings, old), *defined_streams.reset(settings, definition)}
    finally:
        if is_stored or file is not None:
            definitions.store(definition, given.content)
    note(f"stream {name} begins afresh; deleted: {', '.join(sorted(gone)) or 'nothing, there were no rows'}")
    is_ready = _await_worker(settings, name, None, limit)
    answer.show({**_stored_row(definition, is_ready=is_ready), "deleted": sorted(gone)}, tuple)


@stream.command("list")
@answering
def list_command(answer: Answer) -> None:
    """The built-in stream and the defined ones: state of the worker, rows, lag, watermark."""
    from infra.stream_summary import summaries
    from infra.wiring.broker import topic_ends

    settings = Settings()
    with topic_ends(settings) as ends:
        rows = summaries(settings, ends)
    problems = {str(row["name"]): str(row["problem"]) for row in rows if row["problem"]}

    def lines() -> Iterator[str]:
        shown = [
            {key: value for key, value in row.items() if key not in ("problem", "description", "last_commit_at")}
            for row in rows
        ]
        yield from _table(shown)
        yield from (f"{name}: {line}" for name, told in problems.items() for line in told.splitlines())

    answer.show(rows, lines)


@stream.command("show")
@click.argument("name", required=False)
@answering
def show_command(answer: Answer, name: str | None) -> None:
    """Position, watermarks and counters of each partition, as of its last commit. Without NAME the built-in stream."""
    from infra.stream_definitions import StreamDefinitions
    from infra.wiring import built_in_stream, defined_streams
    from ingestion.definition_document import BUILT_IN

    settings = Settings()
    if name is None or name == BUILT_IN:
        found = built_in_stream.stream_progress(settings)
    else:
        found = defined_streams.stream_progress(settings, StreamDefinitions(settings).get(name))
    found = dict(sorted(found.items()))
    rows = [_progress_row(partition, progress) for partition, progress in found.items()]

    def lines() -> Iterable[str]:
        if not rows:
            click.echo("nothing has been committed yet", err=True)
            return iter(())
        letters = [sum(progress.counters.dead_letters.values()) for progress in found.values()]
        return _table([{**row, "dead_letters": count} for row, count in zip(rows, letters, strict=True)])

    answer.show(rows, lines)


def _stored_row(definition: StreamDefinition, *, is_ready: bool) -> dict[str, object]:
    return {
        "name": definition.name,
        "state": "ready" if is_ready else "stopped",
        "topic": definition.topic,
        "table": definition.table,
        "description": definition.description,
    }


def _progress_row(partition: int, progress: Progress) -> dict[str, object]:
    counters = progress.counters
    return {
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


def _table(rows: list[Mapping[str, object]] | list[dict[str, object]]) -> Iterator[str]:
    names = list(rows[0])
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    for line in [names, *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _check_topic(settings: Settings, definition: StreamDefinition) -> None:
    """Where a broker answers, the topic is looked for; else the worker will."""
    from infra.wiring import defined_streams
    from ingestion.errors import TryAgain

    if not settings.kafka_bootstrap and not settings.paths.stack_file.exists():
        return
    try:
        defined_streams.check_topic(settings, definition)
    except TryAgain as error:
        note(f"the topic {definition.topic} could not be looked for: {error}")


def _pid(settings: Settings, name: str) -> int | None:
    from infra.stream_summary import worker_of

    found = worker_of(settings.paths, name)
    return found.process.pid if found is not None and found.process is not None else None


def _await_worker(settings: Settings, name: str, before: int | None, limit: float) -> bool:
    """Until the stack's worker of the stream is ready; False where no stack runs."""
    from infra.stream_summary import await_worker

    is_ready = await_worker(settings.paths, name, before=before, limit=limit)
    if is_ready:
        note(f"stream {name} runs")
    else:
        note(f"stream {name} is defined; no stack runs in {settings.paths.root}, `tidemill up` starts its worker")
    return is_ready


def _await_end(settings: Settings, name: str, limit: float) -> None:
    from infra.stream_summary import await_end

    await_end(settings, name, limit=limit)
