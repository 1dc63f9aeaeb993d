"""Alerts as people ask for them, over a table of rows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ingestion.alerts.ports import Kept, Row
from storage.lake.alerts import LakeAlerts
from storage.queries import alerts
from storage.queries.alerts import Wanted
from storage.queries.stores import Stores, TimeRange
from tests.contract.test_alert_ports import MOMENT, alert_row

HOUR = timedelta(hours=1)


def said(number: int, alert: str, change: int, state: str, hour: float, **more: Any) -> Row:
    at = MOMENT + hour * HOUR
    told = {"id": alert, "change": change, "state": state, "raised_at": at, "window_start": at, "window_end": at}
    return alert_row(number) | told | more


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    home: Path = tmp_path_factory.mktemp("alerts")
    mine = LakeAlerts(home / "lake", home / "state", "windows")
    mine.restore()
    rows = [
        said(0, "ended", 0, "firing", 0, message="begins", value=91.0),
        said(1, "ended", 1, "resolved", 2, message="is over", value=80.0),
        said(2, "fires", 0, "firing", 3, severity="critical", machine_id="p2", rule="other"),
        said(3, "back", 0, "firing", 5),
        said(4, "back", 1, "resolved", 6),
        said(5, "back", 2, "firing", 6, cause="correction"),
        said(6, "taken", 0, "firing", 7, machine_id="p2"),
        said(7, "taken", 1, "resolved", 7, machine_id="p2", cause="correction"),
    ]
    mine.commit(Kept(position=1, state=b"", number=4), rows[:4])
    mine.commit(Kept(position=2, state=b"", number=8), rows[4:])
    return Stores(lake=home / "lake")


def ids(frame: pd.DataFrame) -> list[str]:
    return list(frame["id"])


def test_those_that_fire_come_first_then_the_newest(stores: Stores) -> None:
    found = alerts.episodes(stores)
    assert ids(found) == ["back", "fires", "taken", "ended"]
    ended = found[found["id"] == "ended"].iloc[0]
    assert (ended["state"], ended["message"], ended["last_message"], ended["value"]) == (
        "resolved",
        "begins",
        "is over",
        91,
    )
    assert (ended["began_at"], ended["ended_at"]) == (MOMENT, MOMENT + 2 * HOUR)
    assert list(found["withdrawn"]) == [False, False, True, False]
    assert pd.isna(found[found["id"] == "back"].iloc[0]["ended_at"])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(firing=True), ["back", "fires"]),
        (Wanted(machine_id="p2"), ["fires", "taken"]),
        (Wanted(rule="other"), ["fires"]),
        (Wanted(stream="none"), []),
        (Wanted(severities=("critical", "info")), ["fires"]),
        (Wanted(when=TimeRange(until=MOMENT + HOUR)), ["ended"]),
        (Wanted(when=TimeRange(since=MOMENT + 2.5 * HOUR)), ["back", "fires", "taken"]),
        (Wanted(when=TimeRange(since=MOMENT + HOUR, until=MOMENT + 4 * HOUR)), ["fires", "ended"]),
    ],
)
def test_alerts_are_picked(stores: Stores, wanted: Wanted, found: list[str]) -> None:
    assert ids(alerts.episodes(stores, wanted)) == found


def test_every_row_of_one(stores: Stores) -> None:
    assert list(alerts.rows(stores, "bac")["state"]) == ["firing", "resolved", "firing"]
    assert alerts.rows(stores, "none").empty


def test_how_many_fire_by_machine(stores: Stores) -> None:
    assert alerts.counts(stores).to_dict("records") == [
        {"machine_id": "p1", "severity": "warning", "alerts": 1},
        {"machine_id": "p2", "severity": "critical", "alerts": 1},
    ]


def test_no_table_is_no_alert(tmp_path: Path) -> None:
    stores = Stores(lake=tmp_path)
    assert alerts.episodes(stores).empty
    assert "withdrawn" in alerts.episodes(stores).columns
    assert alerts.counts(stores).empty
