"""Triggers as plain dicts, with the keys of a schedule's YAML: for storage, for display, and from users' files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, cast

from scoring.errors import InvalidInput
from scoring.time_zones import instant_of, zone_of
from scoring.triggers import WEEK_DAYS, CronTrigger, Frequency, RecurrencePattern, RecurrenceTrigger

_COMMON = {"type", "start_time", "end_time", "time_zone"}
_KEYS = {"cron": _COMMON | {"expression"}, "recurrence": _COMMON | {"frequency", "interval", "schedule"}}


def trigger_to_dict(trigger: object) -> dict[str, Any]:
    """The dict form, JSON-safe; fields without a value are left out. Raises TypeError for an unknown kind."""
    found: dict[str, Any]
    if isinstance(trigger, CronTrigger):
        found = {"type": "cron", "expression": trigger.expression}
    elif isinstance(trigger, RecurrenceTrigger):
        found = {"type": "recurrence", "frequency": trigger.frequency.value, "interval": trigger.interval}
        if trigger.pattern:
            found["schedule"] = _pattern_to_dict(trigger.pattern)
    else:
        raise TypeError(f"{type(trigger).__name__} is no trigger")
    for name in ("start_time", "end_time"):
        moment = getattr(trigger, name)
        if moment is not None:
            found[name] = moment.astimezone(UTC).isoformat()
    found["time_zone"] = trigger.time_zone
    return found


def trigger_from_dict(document: Mapping[str, Any]) -> CronTrigger | RecurrenceTrigger:
    """The trigger of a dict. Raises InvalidInput with the field's path, what was found, and what is allowed.

    A time without an offset is wall-clock time of `time_zone`.
    """
    kind = str(document.get("type", "")).lower()
    if kind not in _KEYS:
        raise InvalidInput(
            f"{document.get('type')!r} is unknown; allowed are cron and recurrence", place="trigger.type"
        )
    unknown = sorted(set(document) - _KEYS[kind])
    if unknown:
        raise InvalidInput(
            f"unknown key; a {kind} trigger has {', '.join(sorted(_KEYS[kind]))}", place=f"trigger.{unknown[0]}"
        )
    zone_name = str(document.get("time_zone") or "UTC")
    zone_of(zone_name, place="trigger.time_zone")
    start = _moment(document.get("start_time"), zone_name, "trigger.start_time")
    end = _moment(document.get("end_time"), zone_name, "trigger.end_time")
    if kind == "cron":
        expression = document.get("expression")
        if not isinstance(expression, str):
            raise InvalidInput(f"{expression!r} found; a cron expression is a text", place="trigger.expression")
        return CronTrigger(expression=expression, start_time=start, end_time=end, time_zone=zone_name)
    return RecurrenceTrigger(
        frequency=_frequency(document.get("frequency")),
        interval=_whole(document.get("interval", 1), "trigger.interval"),
        pattern=_pattern(document.get("schedule")),
        start_time=start,
        end_time=end,
        time_zone=zone_name,
    )


def _pattern_to_dict(pattern: RecurrencePattern) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name in ("hours", "minutes", "month_days"):
        if getattr(pattern, name):
            found[name] = list(getattr(pattern, name))
    if pattern.week_days:
        found["week_days"] = [WEEK_DAYS[day] for day in pattern.week_days]
    return found


def _frequency(value: object) -> Frequency:
    try:
        return Frequency(str(value).lower())
    except ValueError:
        allowed = ", ".join(Frequency)
        raise InvalidInput(f"{value!r} is unknown; allowed are {allowed}", place="trigger.frequency") from None


def _pattern(value: object) -> RecurrencePattern:
    if value is None:
        return RecurrencePattern()
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{value!r} found; a mapping is wanted", place="trigger.schedule")
    unknown = sorted(set(value) - {"hours", "minutes", "week_days", "month_days"})
    if unknown:
        raise InvalidInput(
            "unknown key; allowed are hours, minutes, week_days, month_days", place=f"trigger.schedule.{unknown[0]}"
        )
    return RecurrencePattern(
        hours=_list(value.get("hours"), _whole, "trigger.schedule.hours"),
        minutes=_list(value.get("minutes"), _whole, "trigger.schedule.minutes"),
        week_days=_list(value.get("week_days"), _week_day, "trigger.schedule.week_days"),
        month_days=_list(value.get("month_days"), _whole, "trigger.schedule.month_days"),
    )


def _list(value: object, convert: Callable[[object, str], int], place: str) -> tuple[int, ...]:
    if value is None:
        return ()
    elements = value if isinstance(value, (list, tuple)) else [value]
    return tuple(convert(element, place) for element in cast("list[object]", elements))


def _whole(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{value!r} found; a whole number is wanted", place=place)
    return value


def _week_day(value: object, place: str) -> int:
    name = str(value).lower()
    if name not in WEEK_DAYS:
        raise InvalidInput(f"{value!r} is unknown; allowed are {', '.join(WEEK_DAYS)}", place=place)
    return WEEK_DAYS.index(name)


def _moment(value: object, zone_name: str, place: str) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidInput(
                f"{value!r} is no time; wanted is ISO 8601 such as 2026-01-31T08:00:00", place=place
            ) from None
    if not isinstance(value, datetime):
        if not isinstance(value, date):
            raise InvalidInput(f"{value!r} is no time; wanted is ISO 8601 such as 2026-01-31T08:00:00", place=place)
        value = datetime.combine(value, time())
    return value.astimezone(UTC) if value.tzinfo is not None else instant_of(value, zone_of(zone_name))
