"""What is called to somebody's attention, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from dashboard.attention import Facts, notices

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


def titles(facts: Facts) -> list[str]:
    return [notice.title for notice in notices(facts)]


def test_nothing_known_or_nothing_wrong_is_silence() -> None:
    assert notices(Facts(now=NOW)) == []
    assert notices(Facts(now=NOW, lag=12, dead_letters=0, last_commit=NOW - timedelta(seconds=20))) == []


def test_the_worst_comes_first_and_leads_to_its_page() -> None:
    failures = pd.DataFrame(
        [{"name": "j1", "ended_at": NOW - timedelta(hours=1), "status_reason": "too many failed items"}]
    )
    machines = pd.DataFrame([{"machine_id": "p1", "last_score": 4.0}, {"machine_id": "p2", "last_score": 1.0}])
    found = notices(Facts(now=NOW, lag=9_000, dead_letters=3, failures=failures, machines=machines, threshold=3.0))
    assert [n.level for n in found] == ["bad", "bad", "warn", "warn"]
    assert found[0].title == "p1"
    assert found[0].parameters == {"machine": "p1"}
    assert (found[1].page, found[1].parameters) == ("views/jobs.py", {"job": "j1"})
    assert "too many failed items" in found[1].text
    assert [n.title for n in found[2:]] == ["Stream behind", "Dead letters"]


def test_without_a_threshold_no_machine_is_loud() -> None:
    machines = pd.DataFrame([{"machine_id": "p1", "last_score": 400.0}])
    assert notices(Facts(now=NOW, machines=machines)) == []


def test_a_lake_that_stands_still_is_told() -> None:
    assert titles(Facts(now=NOW, last_commit=NOW - timedelta(minutes=6))) == ["Nothing new"]


def test_schedules_that_are_off_or_late() -> None:
    rows = [
        {"name": "late", "is_enabled": True, "next_fire": pd.Timestamp(NOW - timedelta(minutes=5))},
        {"name": "soon", "is_enabled": True, "next_fire": pd.Timestamp(NOW + timedelta(minutes=5))},
        {"name": "ended", "is_enabled": True, "next_fire": pd.NaT},
        {"name": "off", "is_enabled": False, "next_fire": pd.NaT},
    ]
    found = notices(Facts(now=NOW, schedules=pd.DataFrame(rows)))
    assert [(n.title, n.text.split()[0]) for n in found] == [("Schedule late", "late"), ("Schedule off", "off")]


def test_sensors_are_named_but_not_all_of_them() -> None:
    states = ["silent"] * 4 + ["unknown"] + ["never seen"]
    sensors = pd.DataFrame({"sensor_id": [f"p/s{n}" for n in range(6)], "state": states})
    silent, unknown = notices(Facts(now=NOW, sensors=sensors))
    assert silent.text == "p/s0, p/s1 and 2 more"
    assert unknown.text.startswith("p/s4")


def test_a_machine_with_alerts_is_told_once_by_its_worst() -> None:
    alerts = pd.DataFrame(
        [
            {"machine_id": "p1", "severity": "info", "alerts": 6},
            {"machine_id": "p1", "severity": "critical", "alerts": 1},
            {"machine_id": "p2", "severity": "warning", "alerts": 1},
        ]
    )
    first, second = notices(Facts(now=NOW, alerts=alerts))
    assert (first.level, first.text) == ("bad", "p1: 7 alerts firing, critical")
    assert (first.page, first.parameters) == ("views/alerts.py", {"of": "p1"})
    assert (second.level, second.text) == ("warn", "p2: 1 alert firing, warning")
    assert notices(Facts(now=NOW, alerts=alerts[:0])) == []


def test_letters_that_somebody_has_dealt_with_need_nobody() -> None:
    assert titles(Facts(now=NOW, dead_letters=5)) == ["Dead letters"]
    assert notices(Facts(now=NOW, dead_letters=5, open_letters=0)) == []
    (notice,) = notices(Facts(now=NOW, dead_letters=5, open_letters=2))
    assert notice.text == "2 dead letters neither replayed nor discarded"
