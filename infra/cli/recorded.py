"""How recorded files are read: the options of every command that takes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    from ingestion.recording import RecordingSpec

Command = Callable[..., Any]


def reading_recordings(command: Command) -> Command:
    """Give a command the options of recordings; it gets a `RecordingSpec` as its keyword `recording_spec`."""

    @click.option(
        "--layout", type=click.Choice(["auto", "wide", "long"]), default="auto", show_default=True, help="Of the table."
    )
    @click.option("--machine-id", metavar="ID", help="Machine of all rows. Default: machine_id column, else file name.")
    @click.option("--time-column", metavar="NAME", help="Default: event_time, datetime, timestamp, time, date or ts.")
    @click.option("--sensor-column", metavar="NAME", help="Of the long layout. Default: sensor_id, sensor, tag, …")
    @click.option("--value-column", metavar="NAME", help="Of the long layout. Default: value, reading, measurement.")
    @click.option("--time-zone", default="UTC", show_default=True, metavar="ZONE", help="Of times without one.")
    @click.option(
        "--time-format", metavar="FORMAT", help="strptime pattern, epoch, epoch_ms, epoch_us. Default: ISO 8601."
    )
    @click.option("--delimiter", metavar="C", help="Of CSV; tab for a tabulator. Default: found in the header.")
    @click.option(
        "--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="Decimal mark of CSV."
    )
    @click.option("--file-encoding", default="utf8", show_default=True, help="Of CSV text, e.g. latin-1.")
    @click.option("--column", "columns", multiple=True, metavar="FROM=TO", help="Column or sensor under another name.")
    @click.option("--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a column or sensor. Repeatable.")
    @click.option("--ignore", multiple=True, metavar="NAME,…", help="Columns or sensors not to send, e.g. labels.")
    @wraps(command)
    def with_spec(*args: Any, **kwargs: Any) -> Any:
        chosen = {name: kwargs.pop(name) for name in _OPTIONS}
        return command(*args, recording_spec=_spec(**chosen), **kwargs)

    return with_spec


_OPTIONS = (
    "layout",
    "machine_id",
    "time_column",
    "sensor_column",
    "value_column",
    "time_zone",
    "time_format",
    "delimiter",
    "decimal",
    "file_encoding",
    "columns",
    "units",
    "ignore",
)


def _spec(
    *,
    layout: Literal["auto", "wide", "long"],
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
) -> RecordingSpec:
    from ingestion.recording import RecordingSpec

    return RecordingSpec(
        layout=layout,
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
