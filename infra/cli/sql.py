"""`tidemill sql`: one SELECT over the lake and Postgres together."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from infra.cli.failures import WaitedTooLong
from infra.settings import Settings
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

    from storage.queries.stores import Stores

FORMATS = ("table", "csv", "json", "parquet")


@click.command(
    epilog="""\b
Examples:
  tidemill sql "select machine_id, max(score) from predictions group by 1 order by 2 desc"
  tidemill sql "select p.machine_id, m.model, p.score, w.mean
                from predictions p join windows w using (machine_id, window_start) join machines m using (machine_id)
                where w.sensor_id like '%/vibration' order by p.score desc limit 10"
  tidemill sql -o parquet --output-file late.parquet --max-rows 0 "from late_readings"
  echo "describe windows" | tidemill sql -
"""
)
@click.argument("statement", required=False)
@click.option(
    "-o", "--output", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="Form of the answer."
)
@click.option("--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of to stdout.")
@click.option("--max-rows", type=click.IntRange(min=0), default=10_000, show_default=True, help="Most rows; 0 is all.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True, help="Limit in seconds."
)
@click.option("--tables", "list_tables", is_flag=True, help="List the tables that can be named, and end.")
def sql(
    statement: str | None, form: str, output_file: Path | None, max_rows: int, timeout: float, list_tables: bool
) -> None:
    """Query the lake and Postgres together, read-only; `-` reads STATEMENT from stdin.

    Lake tables are lake.NAME, Postgres tables pg.NAME. A bare name is enough; where both have one (predictions) it is
    the Postgres table.
    """
    from storage.queries import sql as engine
    from storage.queries.errors import LimitReached

    stores = _stores()
    if list_tables:
        _print_tables(stores)
        return
    text = sys.stdin.read() if statement == "-" else statement
    if not text or not text.strip():
        raise click.UsageError('give a statement, e.g. tidemill sql "select count(*) from windows", or --tables')
    if form == "parquet" and output_file is None and sys.stdout.isatty():
        raise click.UsageError("parquet is not for a terminal; add --output-file FILE or redirect stdout")
    try:
        answer = engine.query(stores, text, max_rows=max_rows or None, timeout_seconds=timeout)
    except LimitReached as error:
        raise WaitedTooLong(str(error)) from error
    _write(answer.rows, form, output_file)
    count = answer.rows.num_rows
    if answer.truncated:
        click.echo(f"the first {count} rows; there are more (--max-rows 0 gives all)", err=True)
    elif output_file is not None or (form == "table" and sys.stderr.isatty()):
        click.echo(f"{count} row{'' if count == 1 else 's'} in {answer.seconds:.2f} s", err=True)


def _stores() -> Stores:
    """Both stores as the settings know them; without a stack there is still the lake to ask."""
    from storage.queries.stores import Stores

    settings = Settings()
    url = settings.postgres_url.get_secret_value() if settings.postgres_url else None
    if url is None:
        try:
            url = settings.address().postgres_url
        except InvalidInput:
            url = None
    return Stores(lake=settings.paths.lake, postgres_url=url)


def _print_tables(stores: Stores) -> None:
    from storage.queries import sql as engine

    known = engine.catalog(stores)
    width = max(len(str(table)) for table in known.tables)
    for table in known.tables:
        click.echo(f"{table!s:<{width}}  {', '.join(table.columns.names)}")
    for reason in known.away.values():
        click.echo(f"note: {reason}", err=True)


def _write(rows: pa.Table, form: str, output_file: Path | None) -> None:
    if output_file is None:
        target: BinaryIO = click.get_binary_stream("stdout")
        _render(rows, form, target)
        target.flush()
        return
    try:
        with output_file.open("wb") as file:
            _render(rows, form, file)
    except OSError as error:
        raise InvalidInput(f"{output_file} cannot be written: {error.strerror}") from error


def _render(rows: pa.Table, form: str, target: BinaryIO) -> None:
    if form == "parquet":
        import pyarrow.parquet as pq

        # Parquet goes back to its beginning never, but a pipe cannot even tell where it is
        buffer = io.BytesIO()
        pq.write_table(rows, buffer)
        target.write(buffer.getbuffer())
    elif form == "csv":
        target.write(_as_csv(rows).encode())
    elif form == "json":
        json_text = json.dumps(rows.to_pylist(), default=_json, indent=2, ensure_ascii=False)
        target.write((json_text + "\n").encode())
    else:
        target.write(_as_table(rows).encode())


def _as_csv(rows: pa.Table) -> str:
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows.column_names)
    columns = [column.to_pylist() for column in rows.columns]
    writer.writerows([["" if v is None else _plain(v) for v in row] for row in zip(*columns, strict=True)])
    return out.getvalue()


def _as_table(rows: pa.Table) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for field in rows.schema:
        number = str(field.type).startswith(("int", "uint", "double", "float", "decimal"))
        table.add_column(Text(field.name), justify="right" if number else "left", no_wrap=not sys.stdout.isatty())
    columns = [column.to_pylist() for column in rows.columns]
    for row in zip(*columns, strict=True):
        table.add_row(*[Text(_short(value)) for value in row])
    out = io.StringIO()
    width = None if sys.stdout.isatty() else 100_000
    Console(file=out, force_terminal=False, width=width).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC).isoformat(sep=" ", timespec="auto").replace("+00:00", "Z")
    return "" if value is None else str(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.utcoffset() is not None else value
        return moment.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _json(value: object) -> object:
    plain = _plain(value)
    return plain if plain is not value else str(value)
