"""`tidemill alert`: alerts that fire and that did, every row of one, and the rules that raise them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.answer import Answer, answering
from infra.cli.times import Moment
from infra.settings import Settings
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

    from ingestion.alerts.evaluator import AlertedStream

_SEVERITIES = ("info", "warning", "critical")


@click.group(help="Alerts on windows: list, show; the rules that raise them.")
def alert() -> None:
    pass


@alert.command("list")
@click.option("--firing", is_flag=True, help="Only those that fire now.")
@click.option("--machine", metavar="NAME", help="Of this machine.")
@click.option("--stream", metavar="NAME", help="Of this stream; the built-in one is `windows`.")
@click.option("--rule", metavar="NAME", help="Of this rule.")
@click.option(
    "--severity", "severities", multiple=True, type=click.Choice(_SEVERITIES), help="Of this one; may be given again."
)
@click.option("--since", type=Moment(), help="Fired at or after this event time; or so long ago at most.")
@click.option("--until", type=Moment(), help="Began before this event time; or so long ago.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Show this many at most.")
@answering
def list_command(
    answer: Answer,
    firing: bool,
    machine: str | None,
    stream: str | None,
    rule: str | None,
    severities: tuple[str, ...],
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    limit: int,
) -> None:
    """Alerts, one line each: those that fire first, then the newest first."""
    from storage.queries import alerts
    from storage.queries.stores import Stores, TimeRange

    now = datetime.now(UTC)
    first, last = (now - at if isinstance(at, timedelta) else at for at in (since, until))
    wanted = alerts.Wanted(
        firing=firing,
        when=TimeRange(since=first, until=last),
        machine_id=machine,
        stream=stream,
        rule=rule,
        severities=severities,
    )
    found = alerts.episodes(Stores(lake=Settings().paths.lake), wanted, limit=limit + 1)
    if len(found) > limit:
        print(f"the first {limit} alerts are shown; see --limit", file=sys.stderr)
    rows = [_plain(row) for row in _rows(found.head(limit))]
    answer.show(rows, lambda: _list(rows))


@alert.command("show")
@click.argument("alert_id", metavar="ID")
@answering
def show_command(answer: Answer, alert_id: str) -> None:
    """Every row of one alert: how it began, what corrections made of it, how it ended. ID may be its beginning."""
    from storage.queries import alerts
    from storage.queries.stores import Stores

    rows = [_plain(row) for row in _rows(alerts.rows(Stores(lake=Settings().paths.lake), alert_id))]
    ids = sorted({row["id"] for row in rows})
    if len(ids) != 1:
        raise InvalidInput(
            f"{len(ids)} alerts begin with '{alert_id}': {', '.join(ids[:5])}; give more of the id"
            if ids
            else f"there is no alert '{alert_id}'; `tidemill alert list` shows all"
        )

    def lines() -> Iterator[str]:
        newest = rows[-1]
        for name in ("id", "stream", "rule", "severity", "state", "machine_id", "sensor_id"):
            yield f"{name:<12}{newest[name] or ''}"
        yield f"{'key':<12}{', '.join(f'{k}={v}' for k, v in newest['key'].items())}"
        for row in rows:
            window = f"window {row['window_start']} to {row['window_end']}, revision {row['revision']}"
            yield f"{row['raised_at']}  {row['state']:<9} {row['message']} ({window})"

    answer.show(rows, lines)


@alert.command("rules")
@click.option("-f", "--file", type=click.Path(path_type=Path), help="Check this file of rules for the built-in stream.")
@answering
def rules_command(answer: Answer, file: Path | None) -> None:
    """The rules of each stream, checked: <home>/alerts.yml for the built-in one, `alerts` of each definition."""
    from infra.alert_rules import AlertRules, read_built_in

    settings = Settings()
    if file is not None:
        streams = [read_built_in(file, settings)]
    else:
        stored = AlertRules(settings).all()
        problems = [one.problem for one in stored if one.problem is not None]
        if problems:
            raise InvalidInput("\n".join(problems))
        streams = [one.stream for one in stored if one.stream is not None]
    rows = [row for stream in streams for row in _rules(stream)]

    def lines() -> Iterator[str]:
        if not rows:
            print(f"no rules; write some into {settings.paths.alerts}", file=sys.stderr)
        for row in rows:
            where = " ".join(f"{column}={'|'.join(globs)}" for column, globs in row["where"].items())
            yield f"{row['stream']:<16} {row['name']:<24} {row['severity']:<9} {row['condition']}  {where}".rstrip()

    answer.show(rows, lines)


def _rules(stream: AlertedStream) -> Iterator[dict[str, Any]]:
    from ingestion.alerts import words

    for rule in stream.rules:
        yield {
            "stream": stream.name,
            "name": rule.name,
            "severity": rule.severity,
            "description": rule.description,
            "condition": words.of_rule(rule),
            "where": {column: list(globs) for column, globs in rule.where.items()},
        }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    found = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    told = {
        name: value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
        for name, value in row.items()
    }
    return told | {"key": json.loads(row["key"])}


def _list(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        print("no alerts", file=sys.stderr)
        return
    yield f"{'id':<12} {'state':<9} {'severity':<9} {'rule':<20} {'began':<20} {'ended':<20} what"
    for row in rows:
        state = "withdrawn" if row["withdrawn"] else row["state"]
        ended = row["ended_at"] or ""
        yield (
            f"{row['id'][:12]:<12} {state:<9} {row['severity']:<9} {row['rule']:<20} {row['began_at']:<20} "
            f"{ended:<20} {row['message']}"
        )
