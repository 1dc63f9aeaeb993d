"""Triggers from and to the keys of YAML."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from scoring.errors import InvalidInput
from scoring.schedule import trigger_from_dict, trigger_to_dict
from scoring.triggers import CronTrigger, Frequency, RecurrencePattern, RecurrenceTrigger


def test_cron_there_and_back() -> None:
    document = {
        "type": "cron",
        "expression": "0 8 * * *",
        "start_time": "2026-01-01T08:00:00",
        "time_zone": "Tokyo Standard Time",
    }
    trigger = trigger_from_dict(document)
    assert trigger == CronTrigger(
        expression="0 8 * * *",
        start_time=datetime(2025, 12, 31, 23, tzinfo=UTC),  # eight o'clock in Tokyo
        time_zone="Tokyo Standard Time",
    )
    assert trigger_from_dict(trigger_to_dict(trigger)) == trigger


def test_recurrence_there_and_back() -> None:
    trigger = trigger_from_dict(
        {
            "type": "Recurrence",
            "frequency": "Week",
            "interval": 1,
            "schedule": {"hours": [10, 11], "minutes": 0, "week_days": "monday", "month_days": None},
            "end_time": "2030-01-01T00:00:00+02:00",
        }
    )
    assert trigger == RecurrenceTrigger(
        frequency=Frequency.WEEK,
        interval=1,
        pattern=RecurrencePattern(hours=(10, 11), minutes=(0,), week_days=(0,)),
        end_time=datetime(2029, 12, 31, 22, tzinfo=UTC),
    )
    document = trigger_to_dict(trigger)
    assert document["schedule"] == {"hours": [10, 11], "minutes": [0], "week_days": ["monday"]}
    assert trigger_from_dict(document) == trigger


def test_what_yaml_has_read_as_a_time_or_a_date_is_taken() -> None:
    trigger = trigger_from_dict(
        {"type": "recurrence", "frequency": "day", "start_time": date(2026, 1, 1), "end_time": datetime(2026, 2, 1, 1)}
    )
    assert trigger.start_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert trigger.end_time == datetime(2026, 2, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, r"trigger\.type: None is unknown; allowed are cron and recurrence"),
        ({"type": "event"}, r"trigger\.type: 'event' is unknown"),
        ({"type": "cron", "expression": "* * * * *", "interval": 1}, r"trigger\.interval: unknown key"),
        ({"type": "cron"}, r"trigger\.expression: None found"),
        ({"type": "recurrence", "frequency": "year"}, r"trigger\.frequency: 'year' is unknown; allowed are second,"),
        ({"type": "recurrence", "frequency": "day", "interval": "2"}, r"trigger\.interval: '2' found; a whole number"),
        ({"type": "recurrence", "frequency": "day", "interval": True}, r"trigger\.interval: True found"),
        ({"type": "recurrence", "frequency": "day", "schedule": 5}, r"trigger\.schedule: 5 found; a mapping"),
        (
            {"type": "recurrence", "frequency": "day", "schedule": {"days": [1]}},
            r"trigger\.schedule\.days: unknown key",
        ),
        (
            {"type": "recurrence", "frequency": "week", "schedule": {"week_days": ["mon"]}},
            r"trigger\.schedule\.week_days: 'mon' is unknown; allowed are monday,",
        ),
        ({"type": "cron", "expression": "* * * * *", "start_time": "soon"}, r"trigger\.start_time: 'soon' is no time"),
        ({"type": "cron", "expression": "* * * * *", "start_time": 5}, r"trigger\.start_time: 5 is no time"),
    ],
)
def test_wrong_documents_are_refused_by_their_path(document: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        trigger_from_dict(document)


def test_something_else_is_no_trigger() -> None:
    with pytest.raises(TypeError, match="str is no trigger"):
        trigger_to_dict("cron")
