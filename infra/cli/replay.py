"""`tidemill replay`: recorded files, checked whole, then published."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.cli.progress import Progress, stop_on_signals
from infra.cli.recorded import reading_recordings
from infra.cli.times import Duration, Moment, Speed
from infra.settings import Settings

if TYPE_CHECKING:
    from ingestion.recording import RecordingSpec


@click.command(help="Publish recorded CSV or Parquet files as readings. Nothing is published if any row is wrong.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@reading_recordings
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
    recording_spec: RecordingSpec,
    start: datetime | timedelta | None,
    speed: float,
    rate: float,
    longest_pause: timedelta,
    encoding: str,
    batch_size: int,
) -> None:
    from infra.wiring.broker import reading_publisher
    from ingestion.pacing import Pace
    from ingestion.recording import read_recordings, shifted
    from ingestion.replay import ReplaySpec, play

    replay_spec = ReplaySpec(
        pace=Pace(speed=speed, rate=rate),
        longest_pause=longest_pause,
        encoding="json" if encoding == "json" else "arrow",
        readings_a_message=batch_size,
    )
    recording = read_recordings(files, recording_spec)
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
