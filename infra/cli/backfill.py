"""`tidemill stream backfill`: a stream's windows made anew from history, and what the lake lacks of them written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.answer import Answer, answering
from infra.cli.progress import Progress, stop_on_signals
from infra.cli.recorded import reading_recordings
from infra.cli.times import Moment
from infra.settings import Settings
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    from infra.backfills import BackfillAnswer
    from ingestion.recording import RecordingSpec

_SUFFIXES = (".csv", ".parquet", ".pq")


class Different(Exception):
    """Windows of the table differ from those that were made, and were left."""


@click.command("backfill")
@click.argument("name", default="windows")
@click.option("--from", "since", type=Moment(), required=True, help="Windows that begin at this event time or later.")
@click.option("--to", "until", type=Moment(), required=True, help="And before this; both may be so long ago.")
@click.option(
    "--recordings",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Read recorded CSV or Parquet files, or folders of them, instead of Kafka. Repeatable.",
)
@click.option("--into", metavar="TABLE", help="Write to this table of the lake. Default: the stream's own.")
@click.option("--replace", is_flag=True, help="Write windows that differ from the table's as a new revision.")
@click.option("--dry-run", is_flag=True, help="Write nothing; tell what would be written.")
@reading_recordings
@answering
def backfill_command(
    answer: Answer,
    recording_spec: RecordingSpec,
    name: str,
    since: datetime | timedelta,
    until: datetime | timedelta,
    recordings: tuple[Path, ...],
    into: str | None,
    replace: bool,
    dry_run: bool,
) -> None:
    """Make the windows of a range of event time again, from Kafka or recorded files, and write those that are missing.

    What the table has already is compared: equal windows are left, different ones told. Run again after it was
    stopped or killed, it goes on. It may run beside the live stream, whose open windows it leaves alone.
    """
    from infra.backfills import BackfillWish, backfill
    from ingestion.backfill.reads import EventRange
    from ingestion.recording import read_recordings

    now = datetime.now(UTC)
    first, last = (now - at if isinstance(at, timedelta) else at for at in (since, until))
    span = EventRange(since=first, until=last)
    wish = BackfillWish(
        stream=name,
        span=span,
        recording=read_recordings(files_of(recordings), recording_spec) if recordings else None,
        into=into,
        replaces=replace,
        is_dry_run=dry_run,
    )
    with stop_on_signals(": what was written stays; run it again to go on") as stop, Progress() as progress:
        done = backfill(
            Settings(),
            wish,
            stop=stop,
            progress=lambda now: progress.show(
                now.readings, now.seconds, windows=now.written + now.equal + now.different, share=now.share
            ),
        )
    told = summary(wish.span.since, wish.span.until, done, is_dry_run=dry_run)
    answer.show(told, lambda: _lines(told))
    if done.report.is_stopped:
        raise KeyboardInterrupt
    if done.report.different and not dry_run:
        raise Different(
            f"{done.report.different} rows of windows differ from those in {done.windows} and were left; "
            "look at them with --dry-run -o json, write them as a new revision with --replace"
        )


def files_of(paths: tuple[Path, ...]) -> list[Path]:
    """The paths, and in place of a folder the recordings in it, by name. Raises InvalidInput for one without any."""
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in _SUFFIXES)
        if not inside:
            raise InvalidInput(f"--recordings {path}: no {', '.join(_SUFFIXES)} file is in this folder")
        files += inside
    return files


def summary(since: datetime, until: datetime, done: BackfillAnswer, *, is_dry_run: bool) -> dict[str, Any]:
    """The answer as JSON."""
    report = done.report
    return {
        "table": done.windows,
        "late_table": done.late,
        "from": since.isoformat(),
        "to": until.isoformat(),
        "dry_run": is_dry_run,
        "stopped": report.is_stopped,
        "messages": report.messages,
        "readings": report.readings,
        "late": report.late,
        "duplicates": report.duplicates,
        "dead_letters": dict(sorted(report.dead_letters.items())),
        "windows": {
            "written": report.written,
            "replaced": report.replaced,
            "equal": report.equal,
            "different": report.different,
            "left_to_stream": report.left_to_stream,
            "incomplete": report.incomplete,
            "closed_at_end": report.closed_at_end,
        },
        "late_readings": {"written": report.late_written, "equal": report.late_equal},
        "commits": report.commits,
        "differences": report.differences,
        "partitions": [
            {
                "partition": read.partition,
                "begin": read.begin,
                "end": read.end,
                "identical_from": read.identical_from.isoformat() if read.identical_from.year < 9999 else None,
            }
            for read in done.reads
        ],
        "seconds": round(report.seconds, 3),
        "rate": round(report.readings / report.seconds) if report.seconds else 0,
    }


_TOLD = {
    "written": "were missing",
    "replaced": "differed and became a new revision",
    "equal": "are there already",
    "different": "differ from the table's and were left",
    "left_to_stream": "are left to the live stream, which has not settled them",
    "incomplete": "are left out, as messages of them are no longer kept",
    "closed_at_end": "of these were closed by the end of the data",
}


def _lines(told: dict[str, Any]) -> Iterator[str]:
    would = "would go" if told["dry_run"] else "went"
    yield f"{told['readings']:,} readings of {told['messages']:,} messages in {told['seconds']:g} s"
    yield f"windows (rows) from {told['from']} to {told['to']}; what was missing {would} to {told['table']}"
    for name, meaning in _TOLD.items():
        if count := told["windows"][name]:
            yield f"  {count:>12,}  {meaning}"
    late = told["late_readings"]
    if late["written"] or late["equal"]:
        yield f"late readings: {late['written']:,} {would} to {told['late_table']}, {late['equal']:,} are there already"
    if told["dead_letters"]:
        yield f"{sum(told['dead_letters'].values()):,} readings were refused, as they were when they came"
    for one in told["differences"]:
        yield f"  {one['machine_id']} at {one['window_start']}: {_difference(one)}"
    if told["windows"]["incomplete"]:
        print("see `partitions` of -o json for where complete windows begin", file=sys.stderr)


def _difference(one: dict[str, Any]) -> str:
    if "only_in" in one:
        return f"{one['row']} is in the {one['only_in']} only"
    columns = [f"{name} {held['table']} there, {held['backfill']} here" for name, held in one["columns"].items()]
    return f"{one['row']}: {'; '.join(columns)}"
