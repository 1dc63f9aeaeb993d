"""What the lake's alerts say: which fire now, which did, and every row of one."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from storage.queries import lake
from storage.queries.stores import EVERYTHING, Stores, TimeRange

_EPISODES = """
    select id, any_value(stream) as stream, any_value(rule) as rule, arg_max(severity, change) as severity,
           arg_max(state, change) as state, arg_max(cause, change) as cause, any_value(machine_id) as machine_id,
           any_value(sensor_id) as sensor_id, any_value("key") as "key",
           arg_min(raised_at, change) as began_at,
           case when arg_max(state, change) = 'resolved' then arg_max(raised_at, change) end as ended_at,
           arg_min(value, change) as value, arg_min("bound", change) as "bound",
           arg_min(message, change) as message, arg_max(message, change) as last_message,
           arg_max(window_start, change) = arg_min(window_start, change)
               and arg_max(cause, change) = 'correction' and arg_max(state, change) = 'resolved' as withdrawn,
           max(committed_at) as committed_at
    from alerts group by id
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which alerts; None and empty take all.

    when  those that fired at some moment of it
    """

    firing: bool = False
    when: TimeRange = EVERYTHING
    machine_id: str | None = None
    stream: str | None = None
    rule: str | None = None
    severities: tuple[str, ...] = ()


def episodes(stores: Stores, wanted: Wanted | None = None, *, limit: int = 1000) -> pd.DataFrame:
    """One row an alert, those that fire first, then the newest first.

    id, stream, rule, severity, state, cause (of its last row), machine_id, sensor_id, key (JSON), began_at, ended_at
    (NaT while it fires), value and bound (when it began), message (when it began), last_message, withdrawn (a
    correction took it back), committed_at.
    """
    wanted = wanted or Wanted()
    conditions, parameters = ["true"], dict[str, object]()

    def add(condition: str, name: str, value: object) -> None:
        if value is not None:
            conditions.append(condition)
            parameters[name] = value

    if wanted.firing:
        conditions.append("state = 'firing'")
    add("(ended_at is null or ended_at >= $since)", "since", wanted.when.since)
    add("began_at < $until", "until", wanted.when.until)
    add("machine_id = $machine", "machine", wanted.machine_id)
    add("stream = $stream", "stream", wanted.stream)
    add("rule = $rule", "rule", wanted.rule)
    add("list_contains($severities, severity)", "severities", list(wanted.severities) or None)
    return lake.read(
        stores.lake,
        f"""with episodes as ({_EPISODES}) select * from episodes where {" and ".join(conditions)}
            order by ended_at is not null, began_at desc, id limit {int(limit)}""",  # noqa: S608
        parameters,
        tables={"alerts": EVERYTHING},
    )


def rows(stores: Stores, alert_id: str) -> pd.DataFrame:
    """Every row of the alerts whose id begins so, by id and change: the columns of the table but its date."""
    return lake.read(
        stores.lake,
        "select * exclude (date) from alerts where starts_with(id, $id) order by id, change",
        {"id": alert_id},
        tables={"alerts": EVERYTHING},
    )


def counts(stores: Stores) -> pd.DataFrame:
    """Alerts that fire now: machine_id, severity, alerts."""
    return lake.read(
        stores.lake,
        f"""with episodes as ({_EPISODES})
            select machine_id, severity, count(*) as alerts from episodes where state = 'firing'
            group by all order by alerts desc, machine_id, severity""",  # noqa: S608
        tables={"alerts": EVERYTHING},
    )
