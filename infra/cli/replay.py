"""`tidemill replay`: recorded files, checked whole, then published."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from infra.cli.progress import Progress, stop_on_signals
from infra.cli.times import Duration, Moment, Speed
from infra.settings import Settings
from ingestion.errors import InvalidInput


@click.command(help="Publish recorded CSV or Parquet files as readings. Nothing is published if any row is wrong.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--layout", type=click.Choice(["auto", "wide", "long"]), default="auto", show_default=True, help="Of the table."
)
@click.option("--machine-id", metavar="ID", help="Machine of all rows. Default: machine_id column, else file name.")
@click.option("--time-column", metavar="NAME", help="Default: event_time, datetime, timestamp, time, date or ts.")
@click.option("--sensor-column", metavar="NAME", help="Of the long layout. Default: sensor_id, sensor, tag, …")
@click.option("--value-column", metavar="NAME", help="Of the long layout. Default: value, reading, measurement.")
@click.option("--time-zone", default="UTC", show_default=True, metavar="ZONE", help="Of times without one.")
@click.option("--time-format", metavar="FORMAT", help="strptime pattern, epoch, epoch_ms, epoch_us. Default: ISO 8601.")
@click.option("--delimiter", metavar="C", help="Of CSV; tab for a tabulator. Default: found in the header.")
@click.option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="Decimal mark of CSV.")
@click.option("--file-encoding", default="utf8", show_default=True, help="Of CSV text, e.g. latin-1.")
@click.option("--column", "columns", multiple=True, metavar="FROM=TO", help="Column or sensor under another name.")
@click.option("--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a column or sensor. Repeatable.")
@click.option("--ignore", multiple=True, metavar="NAME,…", help="Columns or sensors not to send, e.g. labels.")
@click.option("--start", type=Moment(), help="Move all times so that the first is this, or that long ago.")
@click.option("--speed", type=Speed(), default="max", show_default=True, help="Factor of real time, or max.")
@click.option("--rate", type=float, default=math.inf, metavar="N", help="Readings a second at most.")
@click.option("--longest-pause", type=Duration(), default="5m", show_default=True, help="Gaps are cut to this.")
@click.option("--encoding", type=click.Choice(["batch", "json"]), default="batch", show_default=True, help="Messages.")
@click.option(
    "--batch-size", type=click.IntRange(1, 10_000), default=600, show_default=True, help="Readings a message."
)
def replay(
    files: tuple[Path, ...],
    layout: str,
    machine_id: str | None,
    time_column: str | None,
    sensor_column: str | None,
    value_column: str | None,
    time_zone: str,
    time_format: str | None,
    delimiter: str | None,
    decimal: str,
    file_encoding: str,
    columns: tuple[str, ...],
    units: tuple[str, ...],
    ignore: tuple[str, ...],
    start: datetime | timedelta | None,
    speed: float,
    rate: float,
    longest_pause: timedelta,
    encoding: str,
    batch_size: int,
) -> None:
    from infra.wiring import reading_publisher
    from ingestion.pacing import Pace
    from ingestion.recording import Layout, RecordingSpec, read_recordings, shifted
    from ingestion.replay import ReplaySpec, play

    layouts: dict[str, Layout] = {"auto": "auto", "wide": "wide", "long": "long"}
    spec = RecordingSpec(
        layout=layouts[layout],
        machine_id=machine_id,
        time_column=time_column,
        sensor_column=sensor_column,
        value_column=value_column,
        time_zone=_zone(time_zone),
        time_format=time_format,
        delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter),
        decimal=decimal,
        file_encoding=file_encoding,
        columns=_pairs("--column", columns),
        units=_pairs("--unit", units),
        ignore=tuple(name.strip() for text in ignore for name in text.split(",")),
    )
    replay_spec = ReplaySpec(
        pace=Pace(speed=speed, rate=rate),
        longest_pause=longest_pause,
        encoding="json" if encoding == "json" else "arrow",
        readings_a_message=batch_size,
    )
    recording = read_recordings(files, spec)
    if start is not None:
        recording = shifted(recording, start if isinstance(start, datetime) else datetime.now(UTC) - start)
    with reading_publisher(Settings()) as publisher, stop_on_signals() as stop, Progress() as progress:
        report = play(
            recording,
            replay_spec,
            publisher,
            stop=stop,
            progress=lambda now: progress.show(now.readings, now.seconds, now.reached),
        )
    summary = {
        "files": [str(path) for path in files],
        "machines": recording.machines,
        "readings": report.readings,
        "empty_cells": recording.empty,
        "messages": report.messages,
        "seconds": round(report.seconds, 3),
        "rate": round(report.readings / report.seconds) if report.seconds else 0,
        "end": report.reached.isoformat() if report.reached else None,
        "stopped": report.is_stopped,
    }
    print(json.dumps(summary, indent=2))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidInput(f"--time-zone: {name!r} is no time zone; write e.g. UTC or Europe/Oslo") from None


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if not all(text.rpartition("=")[::2]):
            raise InvalidInput(f"{option}: {text!r} found; write NAME=VALUE")
    return {text.rpartition("=")[0]: text.rpartition("=")[2] for text in texts}
