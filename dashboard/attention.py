"""What needs somebody: facts in, notices out, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd

from dashboard import words

Level = Literal["bad", "warn", "info"]
LAG_WORTH_A_WORD = 5_000
STALE_AFTER = timedelta(minutes=5)
MISSED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One line of the list. `page` is the file of the page that shows more, `parameters` its query."""

    level: Level
    title: str
    text: str
    page: str | None = None
    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the overview knows; None (or an empty frame) where it could not be read."""

    now: datetime
    lag: int | None = None
    dead_letters: int | None = None
    last_commit: datetime | None = None
    failures: pd.DataFrame | None = None
    schedules: pd.DataFrame | None = None
    machines: pd.DataFrame | None = None
    threshold: float | None = None
    sensors: pd.DataFrame | None = None
    alerts: pd.DataFrame | None = None
    open_letters: int | None = None
    unscored: timedelta | None = None


_SEVERITIES = ["critical", "warning", "info"]
_ALERT_LEVELS: dict[str, Level] = {"critical": "bad", "warning": "warn", "info": "info"}
_ORDER: dict[Level, int] = {"bad": 0, "warn": 1, "info": 2}


def notices(facts: Facts) -> list[Notice]:
    """Every rule's notices; an empty list means that nothing needs anybody."""
    rules = (_alerts, _machines, _failures, _stream, _schedules, _sensors)
    found = [notice for rule in rules for notice in rule(facts)]
    return sorted(found, key=lambda notice: _ORDER[notice.level])


def _machines(facts: Facts) -> list[Notice]:
    if facts.machines is None or facts.threshold is None:
        return []
    loud = facts.machines[facts.machines["last_score"] > facts.threshold]
    return [
        Notice(
            level="bad",
            title=str(row.machine_id),
            text=f"newest window scored {words.score(row.last_score)}, threshold {words.score(facts.threshold)}",
            page="views/predictions.py",
            parameters={"machine": str(row.machine_id)},
        )
        for row in _each(loud)
    ]


def _alerts(facts: Facts) -> list[Notice]:
    """One notice a machine, of its worst alert: a machine that is silent would fill the list with its sensors."""
    if facts.alerts is None or facts.alerts.empty:
        return []
    found = []
    for machine, mine in facts.alerts.groupby("machine_id", sort=True):
        worst = min(mine["severity"], key=_SEVERITIES.index)
        count = int(mine["alerts"].sum())
        found.append(
            Notice(
                level=_ALERT_LEVELS[worst],
                title="Alert",
                text=f"{machine}: {words.plural(count, 'alert')} firing, {worst}",
                page="views/alerts.py",
                parameters={"of": str(machine)},
            )
        )
    return found


def _failures(facts: Facts) -> list[Notice]:
    if facts.failures is None:
        return []
    return [
        Notice(
            level="bad",
            title="Job failed",
            text=f"{row.name}, {words.ago(row.ended_at, facts.now)}: {row.status_reason or 'no reason given'}",
            page="views/jobs.py",
            parameters={"job": str(row.name)},
        )
        for row in _each(facts.failures)
    ]


def _stream(facts: Facts) -> list[Notice]:
    found = []
    if facts.lag is not None and facts.lag > LAG_WORTH_A_WORD:
        found.append(
            Notice(
                level="warn",
                title="Stream behind",
                text=f"{words.count(facts.lag)} messages wait",
                page="views/stream.py",
            )
        )
    letters = facts.dead_letters if facts.open_letters is None else facts.open_letters
    if letters:
        text = f"{words.plural(letters, 'message')} could not be read and went to the dead-letter topic"
        if facts.open_letters is not None:
            text = f"{words.plural(letters, 'dead letter')} neither replayed nor discarded"
        found.append(Notice(level="warn", title="Dead letters", text=text, page="views/stream.py"))
    if facts.last_commit is not None and facts.now - facts.last_commit > STALE_AFTER:
        text = f"the last windows were committed {words.ago(facts.last_commit, facts.now)}"
        found.append(Notice(level="warn", title="Nothing new", text=text, page="views/stream.py"))
    return found


def _schedules(facts: Facts) -> list[Notice]:
    if facts.schedules is None:
        return []
    found = []
    for row in _each(facts.schedules):
        if not row.is_enabled:
            found.append(
                Notice(level="info", title="Schedule off", text=f"{row.name} is disabled", page="views/jobs.py")
            )
        elif pd.notna(row.next_fire) and facts.now - row.next_fire > MISSED_AFTER:
            text = f"{row.name} was due {words.ago(row.next_fire, facts.now)}; is the service running?"
            found.append(Notice(level="warn", title="Schedule late", text=text, page="views/jobs.py"))
    return found


def _sensors(facts: Facts) -> list[Notice]:
    if facts.sensors is None or facts.sensors.empty:
        return []
    found = []
    for state, title, level in (("silent", "Silent sensors", "warn"), ("unknown", "Unknown sensors", "info")):
        names = list(facts.sensors.loc[facts.sensors["state"] == state, "sensor_id"])
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            text = f"{', '.join(names[:2])}{more}" + (
                "" if state == "silent" else " send, but no static data knows them"
            )
            found.append(Notice(level=level, title=title, text=text, page="views/stream.py"))  # type: ignore[arg-type]
    return found


def _each(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))
