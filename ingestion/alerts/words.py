"""An alert in words: one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from ingestion.alerts.rules import AlertRule, Rate, Silence, Threshold
from ingestion.alerts.silences import SilenceTold
from ingestion.alerts.track import Told
from ingestion.checkpoint import from_microseconds

_WHY = {
    "correction": "; a window was corrected",
    "rule": "; the rule was changed or removed",
    "forgotten": "; nothing came for so long that it is no longer waited for",
}


def of_level(rule: AlertRule, key: Mapping[str, str | None], told: Told) -> str:
    """Of a threshold or a rate."""
    condition, verdict, cause = rule.condition, told.verdict, _WHY.get(told.cause, "")
    assert isinstance(condition, (Threshold, Rate))
    who = f"{condition.column} of {label(key)}"
    if told.cause in ("rule", "forgotten"):
        return f"{who} is no longer watched for this{cause}"
    if told.state == "resolved" and told.point.start == told.first:
        return f"{who} was never beyond{cause}"
    run = f", for {rule.for_windows} windows in a row" if rule.for_windows > 1 and told.state == "firing" else ""
    if isinstance(condition, Rate):
        within = span(condition.within)
        if told.state == "resolved":
            return f"{who} no longer changes by more than {condition.change:g} within {within}{cause}"
        way = "rose" if verdict.value > 0 else "fell"
        return f"{who} {way} by {abs(verdict.value):.6g} within {within}, more than {condition.change:g}{run}{cause}"
    if told.state == "resolved":
        return f"{who} is back at {verdict.value:.6g}{cause}"
    if verdict.bound is None:
        # within the bounds, but not back over the hysteresis
        return f"{who} is not yet back, at {verdict.value:.6g}{run}{cause}"
    way = "above" if verdict.value > verdict.bound else "below"
    return f"{who} is {verdict.value:.6g}, {way} {verdict.bound:g}{run}{cause}"


def of_silence(after: timedelta, key: Mapping[str, str | None], told: SilenceTold) -> str:
    """Of a silence."""
    since = f"{from_microseconds(told.last.end):%Y-%m-%d %H:%M:%S} UTC"
    if told.state == "firing":
        others = "; nobody else does either" if told.cause == "clock" else ""
        return f"{label(key)} has sent nothing since {since}, for {span(after)}{others}"
    if told.next_ is None:
        return f"{label(key)}, silent since {since}, is no longer waited for{_WHY.get(told.cause, '')}"
    return f"{label(key)} sends again after {span(timedelta(microseconds=told.next_.start - told.last.end))}"


def label(key: Mapping[str, str | None]) -> str:
    """The key by its last column that says who it is: a sensor's id tells its machine too."""
    sensor, machine = key.get("sensor_id"), key.get("machine_id")
    parts = [sensor] if sensor and machine and sensor.startswith(machine) else [machine, sensor]
    parts += [value for column, value in key.items() if column not in ("machine_id", "sensor_id")]
    return " ".join(part for part in parts if part) or "?"


def span(length: timedelta) -> str:
    """`90 s`, `5 min`, `1 h 30 min`, `2 d`"""
    seconds = length.total_seconds()
    if seconds < 120:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def of_rule(rule: AlertRule) -> str:
    """When it fires, in words."""
    condition = rule.condition
    run = f", for {rule.for_windows} windows in a row" if rule.for_windows > 1 else ""
    if isinstance(condition, Silence):
        return f"nothing for {span(condition.after)}"
    if isinstance(condition, Rate):
        way = {"any": "changes", "rise": "rises", "fall": "falls"}[condition.direction]
        return f"{condition.column} {way} by more than {condition.change:g} within {span(condition.within)}{run}"
    bounds = [
        f"{way} {bound:g}" + (f" (ends at {clear:g})" if clear != bound else "")
        for way, bound, clear in (
            ("below", condition.low, condition.clear_low),
            ("above", condition.high, condition.clear_high),
        )
        if bound is not None and clear is not None
    ]
    return f"{condition.column} {' or '.join(bounds)}{run}"
